# The API and dashboard, and the workers: one image, the command chooses.
#   docker build -t mailroom .
# Runs as a user without rights, on a root that may be read-only; writes to /data and /tmp alone.
FROM python:3.11-slim AS build
COPY requirements.txt /tmp/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/requirements.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin mailroom \
    && install -d -o mailroom -g mailroom -m 0700 /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/mailroom
COPY LICENSE wsgi.py gunicorn.conf.py ./
COPY app app
COPY workers workers
COPY templates templates
COPY static static
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FLASK_APP=wsgi \
    HOST=0.0.0.0 \
    DATA_DIR=/data \
    LOG_FORMAT=json
USER 10001:10001
VOLUME /data
EXPOSE 8000
# Of the API; the workers' is switched off in compose.yaml, as /readyz tells of them.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8000)}/healthz', timeout=2)"]
CMD ["gunicorn", "wsgi:app"]
