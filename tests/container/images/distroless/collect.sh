#!/bin/sh
# Collects below /image what gcr.io/distroless/python3-debian13 consists of: Python with its standard
# library, the shared libraries that these need, certificates and time zones. No shell, no packages.
set -eu
mkdir -p /image/etc/ssl/certs /image/usr/bin /image/usr/lib64 /image/usr/share /image/home/nonroot
mkdir -m 1777 /image/tmp
for name in bin lib lib64; do ln -s "usr/$name" "/image/$name"; done

cp -a /usr/bin/python3.13 /image/usr/bin/
ln -s python3.13 /image/usr/bin/python3
mkdir /image/usr/lib
cp -a /usr/lib/python3.13 /image/usr/lib/
find /image -name __pycache__ -prune -exec rm -r {} +
rm -r /image/usr/lib/python3.13/ensurepip /image/usr/lib/python3.13/venv

libraries=$(dirname "$(find /usr/lib -name libc.so.6)")
{
    dpkg --listfiles libc6 libgcc-s1 libstdc++6 | grep "^$libraries/lib[^/]*[.]so[.0-9]*$"
    ldd /usr/bin/python3.13 /usr/lib/python3.13/lib-dynload/*.so | awk '$2 == "=>" { print $3 }'
} | xargs -n 1 basename | sort -u | while read -r name; do
    mkdir -p "/image$libraries"
    cp -L "$libraries/$name" "/image$libraries/"
done
cp -L /lib64/ld-linux-*.so.2 /image/usr/lib64/ 2> /dev/null || cp -L /lib/ld-linux-*.so.1 /image/usr/lib/

cp -L /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/
cp /etc/passwd /etc/group /image/etc/
cp -a /usr/share/zoneinfo /image/usr/share/
