"""Features computed elsewhere: an array [n, d] for the training and one for the validation images, `.npy`, `.pt` or
`.safetensors`, as the paper's repository keeps them in `train.npy` and `test.npy`."""

from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes
from attribution.importing.formats.arrays import open_array, shape_text

#: memory that measuring features may take, in times of the files' size: two copies in float32, of float16 or bytes
MEMORY = 12
#: numbers looked at, at a time
BLOCK = 1 << 22


def load_features(train_path: Path, val_path: Path, sizes: DataSetSizes) -> tuple[np.ndarray, np.ndarray]:
    """Features [n_train, d] and [n_val, d], memory-mapped, in the file's own kind of number (bfloat16: as float32).

    Raises UserError for what cannot be read, is of another shape than the data set, or is not finite.
    """
    paths, counts = (Path(train_path), Path(val_path)), (sizes.n_train, sizes.n_val)
    arrays = [open_array(path) for path in paths]
    for path, array in zip(paths, arrays):
        if len(array.shape) != 2 or not array.shape[1]:
            raise UserError(f"{path} is {shape_text(array.shape)}; features are one row of numbers for each image")
    if tuple(array.shape[0] for array in arrays) == counts[::-1] != counts:
        raise UserError(
            f"{paths[0]} has {sizes.n_val} rows and {paths[1]} has {sizes.n_train}; give the training "
            "images' features first"
        )
    for path, array, n in zip(paths, arrays, counts):
        if array.shape[0] != n:
            turned = (
                "it looks transposed: save its transpose"
                if array.shape[1] == n
                else ("bring the features of this data set, in its order")
            )
            raise UserError(f"{path} is {shape_text(array.shape)}, and {n} x any is expected; {turned}")
    if arrays[0].shape[1] != arrays[1].shape[1]:
        raise UserError(
            f"{paths[0]} has {arrays[0].shape[1]} numbers an image and {paths[1]} has "
            f"{arrays[1].shape[1]}; bring two files of the same network"
        )
    for path, array in zip(paths, arrays):
        step = max(1, BLOCK // array.shape[1])
        for at in range(0, array.shape[0], step):
            if not np.isfinite(array.read_block(slice(at, at + step))).all():
                raise UserError(f"{path} holds NaN or infinite values; compute the features again")
    return tuple(array.read_block(slice(None)) if array.bfloat16 else array.bits for array in arrays)
