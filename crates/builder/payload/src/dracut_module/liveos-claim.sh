#!/bin/sh
# Sourced by dracut: a root that is a live medium is ours.

case "$(getarg root=)" in
    live:*)
        root=liveos
        rootok=1
        netroot=
        ;;
esac
