# prom/prometheus: nobody's process, with its configuration in /etc/prometheus and its data in /prometheus.
FROM fairlead-test/base
COPY prometheus /bin/
RUN mkdir /prometheus && chown 65534:65534 /prometheus
USER 65534:65534
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
