"""The only files that import client libraries: etcd3, heatclient, pysnmp."""
