"""One training gone back through epoch by epoch, and trainings of the same seed without some images: what the one
predicts, the others measure."""

from pathlib import Path

import numpy as np

from attribution.builds.unrolled import Plan
from attribution.training.edits import remove
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace


class SeedTrainings:
    """Trains in float32; prepared once, where anything is still to be trained."""

    def __init__(self, workspace: Workspace, plan: Plan):
        self.workspace, self.plan, self._trainer = workspace, plan, None

    @property
    def trainer(self):
        """The trainer, which holds the images; made where it is first asked for."""
        if self._trainer is None:
            import torch

            from attribution.training.trainer import Trainer

            self._trainer = Trainer(self.workspace, self.workspace.get_recipe(), precision=torch.float32)
        return self._trainer

    def scores(self, seed: int, folder: Path, progress: Progress) -> dict[str, np.ndarray]:
        """Of the training of a seed on all images: "scores", what each of the last epochs says, the last one first,
        float32 [epochs, K, n_train]; "margins" of the targets, float32 [K]."""
        import torch

        from attribution.rankings.unrolled import final, reverse, trajectory

        plan, weights = self.plan, folder / f"kept-{seed}.npy"

        def on_step(done: int, total: int) -> None:
            progress(f"metasmoothness, seed {seed}: steps back", done, total)

        try:
            kept = trajectory.record(self.trainer, seed, plan.epochs, weights)
            products = torch.bfloat16 if plan.rough else None
            blocks = []
            for start in range(0, len(plan.targets), plan.block):
                block = torch.tensor(plan.targets[start : start + plan.block])
                gradients = final.margin_gradients(self.trainer, kept.network, block)
                by_window = reverse.expected_influence(
                    self.trainer, kept, gradients, (plan.windows,), products=products, progress=on_step
                )
                blocks.append(by_window[0])
            return {"scores": np.concatenate(blocks, 1), "margins": self._margins(kept.network)}
        finally:
            weights.unlink(missing_ok=True)

    def margins(self, seed: int, without: np.ndarray) -> np.ndarray:
        """The targets' margins after a training without some images, float32 [K]."""
        return self._margins(self.trainer.train(remove(without), seed))

    def _margins(self, network) -> np.ndarray:
        import torch

        from attribution.training.trainer import margins

        targets, trainer = torch.tensor(self.plan.targets), self.trainer
        logits = trainer.logits(network, trainer.val_images[targets.to(trainer.device)])
        return margins(logits, trainer.val_labels[targets]).float().numpy()
