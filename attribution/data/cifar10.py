"""CIFAR-10 (Krizhevsky, 2009): 50,000 + 10,000 colour images of 32 x 32, by torchvision, which can download it."""

from pathlib import Path

import numpy as np

from attribution.data import DataSet, Split
from attribution.data.foreign import check_file
from attribution.errors import UserError
from attribution.files import data_folder

MAX_BYTES = 256 << 20  # of a batch; the largest has 155 million


def load(root: Path | None = None, class_name: str = "CIFAR10") -> DataSet:
    """All images, as arrays uint8 [n, 32, 32, 3]. class_name: the class in torchvision.datasets, which knows the files'
    checksums.

    root: the folder with the unpacked batches, or its parent; None to download them. The batches are pickles, and
    torchvision opens them only when all checksums are right. Raises UserError for an altered file, and where the files
    are missing and cannot be downloaded.
    """
    import torchvision.datasets

    kind = getattr(torchvision.datasets, class_name)
    folder = Path(root).expanduser() if root else data_folder() / "datasets"
    if folder.name == kind.base_folder:
        folder = folder.parent
    for name in (name for name, _ in [*kind.train_list, *kind.test_list, (kind.meta["filename"], None)]):
        if (folder / kind.base_folder / name).exists():
            check_file(folder / kind.base_folder / name, MAX_BYTES)
    try:
        parts = [kind(folder, train=train, download=root is None) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        if root is None:
            raise UserError(
                f"{class_name} could not be downloaded ({why}); fetch {kind.url}, unpack it, and give its folder "
                "with --root"
            ) from None
        raise UserError(
            f"{folder} does not hold {kind.base_folder} as it was published (missing or altered files); "
            f"unpack {kind.filename} there, or leave out --root to download it"
        ) from None
    splits = [Split(part.data, np.array(part.targets, np.int64)) for part in parts]
    return DataSet(f"{class_name[:5]}-{class_name[5:]}", list(parts[0].classes), *splits)
