"""The source's own tables compared with nova-stream's rows, while both go on changing."""
