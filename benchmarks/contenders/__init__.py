"""The programs that nova-stream's throughput is compared with; each is a process of its own."""
