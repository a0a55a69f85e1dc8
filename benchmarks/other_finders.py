"""Whether face finders other than MTCNN find the faces of the embedded generator's fakes.

    pip install --target FINDERS --no-deps mediapipe==0.10.14 opencv-python-headless==4.10.0.84 \\
        'protobuf<5' flatbuffers absl-py attrs
    PYTHONPATH=FINDERS:. python benchmarks/other_finders.py --crops DIR --fairface DIR [--weights FILE ...]

MTCNN can have a part in training (`pipelines.training.face_finder_loss`); what it finds afterwards is then no
proof. Two others are asked about held-out crops (`pipelines.training.crops`) and their fakes, by race:
BlazeFace (Bazarevsky et al. 2019, MediaPipe's short-range network), and Viola and Jones' cascades (OpenCV's
`frontalface_alt2`, and `profileface` in both directions), these on crops with their edge drawn out by 64 px.
Neither comes with this project; OpenCV 5, which does, has no cascades.
"""

import argparse
from pathlib import Path

import cv2
import mediapipe
import numpy as np
import pandas as pd

from pipelines.generators.loading import load_generator, weights_of
from pipelines.sources.fairface import read_fairface
from pipelines.training.evaluate import decoded, encoded, held_out

MARGIN_PX, SMALLEST_PX = 64, 120


def by_blazeface(images: np.ndarray) -> np.ndarray:
    """Whether it finds a face, bool [N]."""
    finder = mediapipe.solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
    return np.array([bool(finder.process(np.ascontiguousarray(image)).detections) for image in images])


def by_cascades(images: np.ndarray) -> np.ndarray:
    """Whether one of them finds a face, bool [N]."""
    frontal, profile = (
        cv2.CascadeClassifier(cv2.data.haarcascades + f"haarcascade_{name}.xml")
        for name in ("frontalface_alt2", "profileface")
    )
    found = []
    for image in images:
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        grey = cv2.copyMakeBorder(grey, *[MARGIN_PX] * 4, cv2.BORDER_REPLICATE)
        asked = ((frontal, grey), (profile, grey), (profile, cv2.flip(grey, 1)))
        found.append(
            any(len(c.detectMultiScale(g, 1.05, 3, minSize=(SMALLEST_PX, SMALLEST_PX))) for c, g in asked)
        )
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--fairface", type=Path, required=True)
    parser.add_argument("--weights", nargs="+", default=["small"])
    given = parser.parse_args()
    rows, photos = held_out(given.crops)
    races = read_fairface(given.fairface).rows.set_index("source")["race"]
    group = np.array([races[row["photo"]] for row in rows])
    finders = {"BlazeFace": by_blazeface, "cascades": by_cascades}
    in_photos = {name: find(photos) for name, find in finders.items()}
    for weights in given.weights:
        network = load_generator(weights_of(weights))
        fakes = decoded(network, encoded(network, photos))
        for name, find in finders.items():
            in_photo, in_fake = in_photos[name], find(fakes)
            counts = {"photo": in_photo, "lost": in_photo & ~in_fake, "gained": ~in_photo & in_fake}
            table = pd.DataFrame(counts).groupby(group).sum()
            table.loc["all"] = table.sum()
            table["found, %"] = (100 * (1 - table["lost"] / table["photo"])).round(1)
            print(f"{weights}: {name}\n{table.to_string()}")


if __name__ == "__main__":
    main()
