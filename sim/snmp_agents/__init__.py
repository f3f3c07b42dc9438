"""Embedded SNMP agents: one process that answers real SNMPv2c over loopback UDP for many devices."""
