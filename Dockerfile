# Lineup on the processor. Nobody has built this image yet: it was written without a container engine at hand.
#
#   docker build -t lineup .
#   docker run --rm --network host -v lineup-data:/data lineup
#
# It listens on loopback alone, so that --network host is what lets a browser of the same machine in, and `-p 8501:8501`
# reaches nothing. Publishing the port would offer everybody on the network a dashboard that trains models and runs the
# training code named on it, over plain HTTP: come through `ssh -L 8501:127.0.0.1:8501 HOST` instead.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 lineup && mkdir /data && chown lineup /data
COPY . /source
# uv finds the CPU build of torch; the ordinary one brings 4 GB of CUDA libraries.
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --torch-backend cpu "/source[train]" \
    && rm -r /source

USER lineup
WORKDIR /home/lineup
ENV LINEUP_DATA=/data
VOLUME /data
CMD ["lineup", "serve"]
