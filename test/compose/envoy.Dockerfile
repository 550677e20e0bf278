# envoyproxy/envoy: a stock Envoy on PATH, which does not run as root.
FROM fairlead-test/base
COPY envoy /usr/local/bin/
USER 101:101
CMD ["envoy", "-c", "/etc/envoy/envoy.yaml"]
