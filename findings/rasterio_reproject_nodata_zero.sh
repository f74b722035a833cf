#!/usr/bin/env bash
# rasterio 1.4.4 (the newest for Python 3.11): reproject(dst_nodata=0) fills with the source's nodata value, not with 0.
#
# dst_nodata is documented as the value that remains where the source has nothing: the corners of a turned image, the
# rim of a tile, the source's own holes. Any other number is followed, but 0 counts as not given, and the default is the
# nodata value of the source. With dst_nodata=0 and src_nodata=255 the rim of a label map is 255, so ignored, where the
# background was meant. An elevation or radar image with src_nodata=-9999 gets a rim of -9999, and its mean and standard
# deviation, as taken for normalization, are those of the rim. Nothing is said. WarpedVRT(nodata=0) of the same image
# fills with 0.
# Remedy: WarpedVRT, or a destination that is filled with 0 before, with init_dest_nodata=False. (The project's
# repository has this repaired since January 2026, in a change named 'Support zero dst_nodata'.)
#
# Output seen (a row of the 4 x 4 image, in the middle of 6 x 6):
#   uint8, nodata 255, dst_nodata=7: [7, 1, 2, 3, 7, 7]
#   uint8, nodata 255, dst_nodata=0: [255, 1, 2, 3, 255, 255]
#   uint8, nodata 255, WarpedVRT: [0, 1, 2, 3, 0, 0]
#   uint8, nodata 255, own filling: [0, 1, 2, 3, 0, 0]
#   float32, nodata -9999, dst_nodata=7: [7, 1, 2, 3, 7, 7]
#   float32, nodata -9999, dst_nodata=0: [-9999, 1, 2, 3, -9999, -9999]
#   float32, nodata -9999, WarpedVRT: [0, 1, 2, 3, 0, 0]
#   float32, nodata -9999, own filling: [0, 1, 2, 3, 0, 0]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 rasterio==1.4.4
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject

CRS = 'EPSG:3857'
SMALL, LARGE = from_origin(0, 4, 1, 1), from_origin(-1, 5, 1, 1)


def reprojected(image, nodata, **options):
    out = np.zeros((6, 6), image.dtype)
    places = {'src_transform': SMALL, 'src_crs': CRS, 'dst_transform': LARGE, 'dst_crs': CRS}
    reproject(image, out, src_nodata=nodata, **places, **options)
    return out


def by_vrt(image, nodata):
    profile = {'width': 4, 'height': 4, 'count': 1, 'dtype': image.dtype, 'crs': CRS, 'transform': SMALL}
    with rasterio.open('image.tif', 'w', driver='GTiff', nodata=nodata, **profile) as file:
        file.write(image, 1)
    place = {'crs': CRS, 'transform': LARGE, 'width': 6, 'height': 6}
    with rasterio.open('image.tif') as file, WarpedVRT(file, nodata=0, **place) as warped:
        return warped.read(1)


for dtype, nodata in (('uint8', 255), ('float32', -9999)):
    image = np.array([[1, 2, 3, nodata]] * 4, dtype)
    found = {
        'dst_nodata=7': (reprojected(image, nodata, dst_nodata=7), 7),
        'dst_nodata=0': (reprojected(image, nodata, dst_nodata=0), nodata),
        'WarpedVRT': (by_vrt(image, nodata), 0),
        'own filling': (reprojected(image, nodata, dst_nodata=0, init_dest_nodata=False), 0),
    }
    for name, (out, rim) in found.items():
        print(f'{dtype}, nodata {nodata}, {name}:', [int(number) for number in out[2]])
        assert out[2].tolist() == [rim, 1, 2, 3, rim, rim], 'the behaviour has changed'
        assert (out[0] == rim).all() and (out[5] == rim).all()
PY
