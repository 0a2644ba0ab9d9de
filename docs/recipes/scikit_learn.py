"""scikit-learn, without torch: a forest of trees on pixels. Its logits are logarithms of its probabilities."""

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier


class Forest:
    name, version, threads = "forest", 1, 1

    def setup(self, data, device):
        self.classes = len(data.classes)
        self.pixels = {
            split: np.asarray(data.images(split)).reshape(len(data.labels(split)), -1) for split in ("train", "val")
        }

    def fit(self, keep, labels, seed, report):
        forest = RandomForestClassifier(100, random_state=seed, n_jobs=self.threads)
        return forest.fit(self.pixels["train"][keep], labels[keep])

    def logits(self, model, split, ids):
        logits = np.full((len(ids), self.classes), np.log(1e-4), np.float32)  # a class that was left out altogether
        logits[:, model.classes_] = np.log(model.predict_proba(self.pixels[split][ids]) + 1e-4)
        return logits

    def save(self, model, path):  # joblib, which comes with scikit-learn, loads what this machine saved, and no other's
        joblib.dump(model, path)

    def load(self, path):
        return joblib.load(path)
