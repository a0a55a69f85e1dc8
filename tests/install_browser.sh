#!/bin/sh
# What some tests need and no Python package brings: Debian's Chromium and axe-core from npm for the reports,
# Debian's espeak-ng for synthetic voices.
# Installs what it may; where it may not, those tests skip and say so.
set -eu
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null ||
        echo "chromium could not be installed: browser tests will skip"
fi

if ! command -v espeak-ng >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends espeak-ng >/dev/null ||
        echo "espeak-ng could not be installed: tests of rendered voices will skip"
fi

if [ ! -e build/axe/node_modules/axe-core/axe.min.js ]; then
    if command -v npm >/dev/null 2>&1; then
        mkdir -p build/axe
        npm install --silent --no-save --no-audit --no-fund --prefix build/axe axe-core@4.14.1 >/dev/null 2>&1 ||
            echo "axe-core could not be installed: the accessibility test will skip"
    else
        echo "npm is absent: the accessibility test will skip"
    fi
fi
