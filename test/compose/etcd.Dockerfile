# What quay.io/coreos/etcd promises to a compose file: the programs on PATH, and etcd where no command is given.
FROM fairlead-test/base
COPY etcd etcdctl /usr/local/bin/
CMD ["/usr/local/bin/etcd"]
