#!/bin/sh
curl -o /tmp/a https://example.org/a && chmod +x /tmp/a
