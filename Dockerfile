# hsup with the libcontainer driver: see docs/guides/hsup-in-docker.md.
#
#   docker build -t hsup .
#
# BASE is a Debian 12, and STACK what dynos run on where nobody brings another stack.
# PIP_... are pip's own variables, for who has no direct way to PyPI.
ARG BASE=debian:bookworm-slim
ARG STACK=$BASE


FROM $BASE AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        gcc libc6-dev libcap-dev python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 65534 /build /opt/hsup
USER 65534
WORKDIR /build
ENV HOME=/build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
COPY --chown=65534:65534 . .
# What pip itself takes is needed no more: plugins are added by images that begin with this one.
RUN python3 -m venv /opt/hsup \
    && python3 -m venv pip \
    && pip/bin/pip wheel --use-pep517 --no-cache-dir --wheel-dir wheels . ./plugins/*/ \
    && pip/bin/pip --python /opt/hsup/bin/python install --no-index --no-cache-dir wheels/*.whl \
    && pip/bin/pip --python /opt/hsup/bin/python uninstall -y pip setuptools


FROM $STACK AS stack
USER root
RUN mkdir /stack \
    && tar -C / --one-file-system --exclude=./stack --exclude='./dev/*' --exclude='./tmp/*' \
        --exclude='./var/lib/apt/lists/*' -c . | tar -C /stack -xp


FROM $BASE
# Packages that skopeo depends on bring 45 MB of network plugins, which it never uses.
RUN apt-get update \
    && apt-get install -y --no-install-recommends -o Dpkg::Options::=--path-exclude=/usr/lib/cni/* \
        ca-certificates iptables libcap2 libseccomp2 nftables python3 skopeo tini umoci \
    && apt-get clean \
    && rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log
COPY --from=stack /stack /usr/share/hsup/stack
COPY examples/in-docker/manifest.yml examples/in-docker/entry /usr/share/hsup/
COPY examples/in-docker/loaded /etc/hsup/
RUN mkdir -p /etc/hsup/containers/sockets /var/lib/hsup/stacks /var/lib/hsup/slugs
COPY --from=build /opt/hsup /opt/hsup
# docker stop waits for 10 s: dynos are to be gone by then.
ENV PATH=/opt/hsup/bin:$PATH \
    HSUP_CONTROL_DIR=/etc/hsup \
    HSUP_DRIVER=libcontainer \
    HSUP_GRACE=8
# Docker gives these directories of the host's disk: on a container's own, an overlay, each file of a
# slug has to be given to the dyno's user at each start.
VOLUME /etc/hsup /var/lib/hsup
ENTRYPOINT ["tini", "-s", "--", "/usr/share/hsup/entry"]
CMD ["start", "--oneshot"]
