"""A command: run by any Python with numpy, scikit-learn and pandas, knowing nothing of Lineup but the task's folder.

python -m attribution recipe add linear --command "python command.py --job {job}" --sources command.py
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import SGDClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--job", type=Path, required=True)
job = parser.parse_args().job
task = json.loads((job / "job.json").read_text())


def pixels(split):
    """[n, values], 0 to 1, from the files that the table names, or from the array where images have none."""
    table = pd.read_parquet(job / task[split])
    if "path" in table:
        images = np.stack([np.asarray(Image.open(path).convert("RGB").resize((32, 32))) for path in table.path])
    else:
        images = np.load(job / task[f"{split}_images"])
    return images.reshape(len(table), -1) / 255


keep, labels = np.load(job / task["keep"]), np.load(job / task["labels"])
train, val = pixels("train"), pixels("val")
model = SGDClassifier(loss="log_loss", random_state=task["seed"])
for epoch in range(10):
    model.partial_fit(train[keep], labels[keep], classes=np.arange(len(task["classes"])))
    print(f"LINEUP {epoch + 1}/10", flush=True)
for split, images in (("val", val), ("train", train)):
    if task[f"{split}_logits"]:
        scores = model.decision_function(images)
        logits = np.stack([-scores, scores], 1) / 2 if scores.ndim == 1 else scores
        np.save(job / task[f"{split}_logits"], logits.astype(np.float32))
