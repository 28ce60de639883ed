#!/bin/sh
# Sourced by dracut before it mounts the root: mounts it, so that nothing is left to be mounted.

if [ "$root" = liveos ] && ! ismounted "$NEWROOT"; then
    # Devices ask for their drivers by udev; these nobody asks for.
    modprobe --all --quiet loop dm_mod overlay squashfs erofs isofs 2> /dev/null
    /usr/lib/liveos/liveos-init hook mount "$NEWROOT" \
        || die "liveos-init could not mount the live system; why is told above"
fi
