import pytest

from attribution.data.splits import choose, choose_files, listed, parse, role, role_in
from attribution.errors import UserError


@pytest.mark.parametrize(
    "names, expected",
    [
        (
            "train Train TRAIN training Training trainset training_set training-set trainSet train_images train2017",
            "train",
        ),
        ("val valid validation Validation VAL dev Dev eval evaluation valset validation_set val1", "val"),
        ("test Test tests testing testset test_set Test-Set TestImages test1", "test"),
        ("ant contest latest attest trainer devil evaluator validate strain pretest trains valley", None),
        ("train_noisy test_ood train_val test_train", None),
    ],
)
def test_bare_words(names, expected):
    assert {name: role(name) for name in names.split()} == dict.fromkeys(names.split(), expected)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("mnist_train.parquet", "train"),
        ("mnist-test-00000-of-00001.parquet", "test"),
        ("my.validation.csv", "val"),
        ("speech_dev.tar", "val"),
        ("cifar10Train.csv", "train"),
        ("train_noisy-00000-of-00001.parquet", "train"),
        ("Training Set.csv", "train"),
        ("contest.csv", None),
        ("train_test.csv", None),
        ("0001.parquet", None),
    ],
)
def test_words_anywhere_in_a_name(name, expected):
    assert role_in(name) == expected


@pytest.mark.parametrize(
    "names, train, val, others",
    [
        (["train-0.csv", "train-1.csv", "test-0.csv"], [0, 1], [[2]], []),
        (["train.csv", "test.csv", "val.csv"], [0], [[2], [1]], []),
        (["train.csv", "train_noisy.csv", "test.csv", "test_ood.csv"], [0], [[2]], [1, 3]),
        (["mnist_train.csv", "mnist_test.csv"], [0], [[1]], []),
        (["mnist_train.csv", "other_test.csv", "mnist_val.csv"], [0], [[2]], [1]),
        (["train.csv", "test_ood.csv"], [0], [], [1]),
        (["train.csv", "validation.csv", "dev.csv"], [0], [[1], [2]], []),
        (["trainval.csv", "test.csv"], [0], [[1]], []),
        (["trainval.csv", "train.csv", "val.csv"], [1], [[2]], [0]),
        (["train_noisy.csv", "test.csv"], [0], [[1]], []),
        (["ant", "bee"], [], [], [0, 1]),
        (["val.csv"], [], [[0]], []),
    ],
)
def test_what_is_chosen(names, train, val, others):
    found = choose(names, "here")
    assert found.train == [names[i] for i in train]
    assert found.val == [[names[i] for i in split] for split in val]
    assert found.others == [names[i] for i in others]


@pytest.mark.parametrize(
    "names",
    [
        ["train_a.csv", "train_b.csv"],
        ["cifar10_train.csv", "cifar100_train.csv", "cifar10_test.csv"],
        ["train.csv", "Train.csv"],
        ["train.csv", "training.csv"],
        ["train.csv", "val.csv", "VAL.csv"],
    ],
)
def test_what_cannot_be_told_is_asked_for(names):
    with pytest.raises(UserError, match="here has .*does not say which is meant; name one file with --root"):
        choose(names, "here")


def test_files_without_a_word_are_training_images_if_they_are_shards():
    assert choose_files(["part-0.csv", "part-1.csv"], "here", ".csv").train == ["part-0.csv", "part-1.csv"]
    assert choose_files(["data-00000-of-00002.csv", "data-00001-of-00002.csv"], "here", ".csv").val == []
    with pytest.raises(UserError, match="files of several names, main.csv, holdout.csv, .*call them train-1.csv"):
        choose_files(["main.csv", "holdout.csv"], "here", ".csv")
    for names in (["test.csv"], ["test.csv", "more.csv"], ["train_test.csv"]):
        with pytest.raises(UserError, match="named as training images, train.*among .*rename it"):
            choose_files(names, "here", ".csv")


def test_a_long_list_is_shortened():
    assert listed("abc") == "a, b, c" and listed("abcdefghi") == "a, b, c, d, e, f and 3 more"


def test_numbers_belong_to_the_name_where_they_stand_in_a_word():
    assert parse("cifar10-00001").rest == ("cifar10",) and parse("part0001").rest == ()
