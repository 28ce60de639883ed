#!/bin/sh
# Sourced by dracut: a root that is a live medium is ours.

if /usr/lib/liveos/liveos-init hook claim; then
    root=liveos
    rootok=1
    netroot=
    # Other modules know the same parameters. A hook that is empty does nothing; one that is gone would end dracut, which has its list.
    for liveos_hook in \
        "$hookdir"/*/*-parse-dmsquash-live.sh "$hookdir"/*/*-dmsquash-live*-genrules.sh \
        "$hookdir"/*/*-parse-livenet.sh "$hookdir"/*/*-parse-iso-scan.sh "$hookdir"/*/*-*kiwi-live*.sh \
        "$hookdir"/*/*-prepare-overlayfs.sh "$hookdir"/*/*-mount-overlayfs.sh; do
        [ -f "$liveos_hook" ] && : > "$liveos_hook"
    done
    unset liveos_hook
fi
