"""`python -m tests.deploy.machine`: the systemd unit, put to use under a real systemd in a virtual machine.

As root on Debian, with debootstrap and qemu-system-x86 installed. Makes a small Debian of its own (once, in `--work`;
some minutes and 1 GB), installs the product in it as the head of the unit says, boots it, and shows what
`tests/deploy/guest.py` finds. Guarantees: nothing of this machine is changed but the folder; the virtual machine has
no network; it is killed after `--timeout`. Without /dev/kvm it is emulated, which is some ten times slower.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim.etcd_binary import default_cache_dir, find_etcd
from tests.deploy.peers import TOKEN

ROOT = Path(__file__).parents[2]
SUITE = "bookworm"
TOOLS = ("debootstrap", "mke2fs", "qemu-system-x86_64")
PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,kmod,procps,python3,python3-venv,ca-certificates,linux-image-cloud-amd64"
)
#: What systemd gives the machine's own services and devices to start: it may be emulated, on a busy machine.
PATIENT = "systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900"
#: Where the unit expects the product.
HOME = "opt/gatewright"
#: Settings of this machine that pip and TLS need inside, too, while the product is installed.
BORROWED = ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
INSTALL = f"""\
cd /{HOME}
python3 run.py config check && .venv/bin/python -m compileall -q actors config sim tests run.py
"""
PEERS = f"""\
[Unit]
Description=What a controller needs around it
[Service]
Type=notify
TimeoutStartSec=300
WorkingDirectory=/{HOME}
ExecStart=/{HOME}/.venv/bin/python -m tests.deploy.peers /var/lib/peers /run/peers/gatewright.toml
ExecStartPost=/usr/bin/install -D -m 0640 -g gatewright /run/peers/gatewright.toml /etc/gatewright/gatewright.toml
"""
TRIAL = f"""\
[Unit]
Description=The trial
After=peers.service
Requires=peers.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
TimeoutStartSec=infinity
WorkingDirectory=/{HOME}
ExecStart=/{HOME}/.venv/bin/python -m tests.deploy.guest /dev/ttyS1
[Install]
WantedBy=multi-user.target
"""


def lacking() -> str:
    """What this machine lacks for the trial, or ""."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "only root can make a Debian"


def run(*command: str | Path, quiet: bool = True) -> None:
    """Raises SystemExit with its last lines."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=quiet,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = "\n".join((done.stdout or "").splitlines()[-5:] + (done.stderr or "").splitlines()[-15:])
        sys.exit(f"{' '.join(str(part) for part in command)} ended with {done.returncode}\n{said}")


def copy_product(target: Path) -> None:
    """The files of this repository as they are now, with what has not been committed yet."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    for folder in ("actors", "config", "sim", "tests"):
        shutil.rmtree(target / folder, ignore_errors=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def make_root(root: Path) -> None:
    """A Debian with systemd; made under another name, so that one which is there is whole."""
    if root.exists():
        return
    partial = root.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    print(f"making a Debian ({SUITE}) in {root} ...", flush=True)
    run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, partial)
    run("chroot", partial, "apt-get", "clean")
    run("chroot", partial, "useradd", "--system", "--home-dir", "/var/lib/gatewright", "gatewright")
    partial.rename(root)


def install(root: Path) -> None:
    """The product, as the head of the unit says, and what the trial needs around it."""
    print("installing the product in it ...", flush=True)
    for name in BORROWED:
        if Path("/", name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path("/", name), root / name)
    copy_product(root / HOME)
    run("chroot", root, "sh", "-c", INSTALL)
    etcd = root / "usr/local/bin/etcd"
    shutil.copyfile(find_etcd(default_cache_dir()).path, etcd)
    etcd.chmod(0o755)
    units = root / "etc/systemd/system"
    shutil.copyfile(ROOT / "config/deploy/gatewright.service", units / "gatewright.service")
    (units / "peers.service").write_text(PEERS)
    (units / "trial.service").write_text(TRIAL)
    secrets = root / "etc/gatewright/environment"
    secrets.parent.mkdir(exist_ok=True)
    secrets.write_text(f"GATEWRIGHT_HTTP__TOKEN={TOKEN}\n")
    secrets.chmod(0o600)
    run("chroot", root, "systemctl", "enable", "trial.service")


def boot(root: Path, work: Path, timeout_s: float) -> list[dict[str, Any]]:
    """Boot it and wait for its end: what was reported. The console is in `console.log`."""
    image, report = work / "root.ext4", work / "report.jsonl"
    image.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, image, "3G")
    kvm = _virtualizes()
    speed = ["-enable-kvm", "-cpu", "host"] if kvm else ["-accel", "tcg,thread=multi", "-cpu", "max"]
    (kernel,), (initrd,) = root.glob("boot/vmlinuz-*"), root.glob("boot/initrd.img-*")
    line = f"root=/dev/vda rw console=ttyS0 panic=-1 systemd.show_status=0 quiet {PATIENT}"
    command = [
        *("qemu-system-x86_64", *speed, "-m", "2048", "-smp", "2", "-display", "none", "-no-reboot"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", line, "-nic", "none"),
        *("-drive", f"file={image},if=virtio,format=raw,cache=unsafe"),
        *("-serial", f"file:{work / 'console.log'}", "-serial", f"file:{report}"),
    ]
    report.unlink(missing_ok=True)
    print(f"booting it ({'KVM' if kvm else 'emulated'}) ...", flush=True)
    try:
        subprocess.run(command, check=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        print(f"killed after {timeout_s:.0f} s", flush=True)
    lines = report.read_text(encoding="utf-8", errors="replace").splitlines() if report.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _virtualizes() -> bool:
    """A processor that can, and the kernel's leave. The device alone may be there and boot nothing."""
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    able = flags is not None and {"vmx", "svm"} & set(flags[1].split())
    return bool(able) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def trial(work: Path, timeout_s: float) -> list[dict[str, Any]]:
    """Everything; the rows of the report."""
    work.mkdir(parents=True, exist_ok=True)
    root = work / "root"
    make_root(root)
    install(root)
    return boot(root, work, timeout_s)


def main(arguments: Sequence[str]) -> int:
    """0: every step is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.machine", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(sys.prefix) / "machine", help="folder, kept")
    parser.add_argument("--timeout", type=float, default=2400.0, metavar="S")
    parsed = parser.parse_args(arguments)
    if lacking():
        sys.exit(lacking())
    rows = trial(parsed.work.absolute(), parsed.timeout)
    for row in rows:
        if "step" in row:
            print(f"{'ok    ' if row['ok'] else 'FAILED'} {row['step']}: {row['said']}")
    whole = bool(rows) and "end" in rows[-1]
    sound = whole and all(row.get("ok", True) for row in rows)
    if not sound:
        print("\n".join(rows[-1].get("journal", []) if rows else []))
        print(f"console: {parsed.work / 'console.log'}")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
