"""What the plan of an ablation refuses, and what it makes of its file; nothing trains here."""

import json
from collections import Counter
from hashlib import sha256

import pytest
from ablation_grid import change, grid, run
from ablation_samples import arm, counts_of
from sample_classes import write_manifest

from core.errors import UserError
from data.subsets import label_subset
from experiments.grid.config import AblationConfig
from experiments.grid.planning.effect import with_effect
from experiments.grid.planning.plan import build_plan
from experiments.grid.planning.plan_file import write_plan
from experiments.grid.planning.prepared import in_shares, read_data
from experiments.grid.to_do import all_works
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig

LITE0 = "tf_efficientnet_lite0"
OUTSIDE = "ablation.variants.a: encoder_weights were trained on other pictures: say outside_weights true"

REFUSED = [
    (grid(fractions=[0.5, 1.5]), "fraction 1.5 asks for "),
    (grid(fractions=[0.5, 4000]), " asks for 4000 labels, more than exist: "),
    (grid(more_seeds={1.5: [3]}), "more_seeds: 1.5 is neither a fraction in (0, 1] nor a whole number of labels"),
    (grid(fractions=[0.001, 0.002]), "fractions 0.001 and 0.002 mean the same 2 labelled pictures"),
    (grid(fractions=[]), "fractions is empty"),
    (grid(fractions=[0.5, 0.5]), "fractions: 0.5 is given twice"),
    (grid(seeds=[1, 2, 1]), "seeds: 1 is given twice"),
    (grid(more_seeds={1.0: [2, 3]}), "seeds and more_seeds at 1: 2 is given twice"),
    (grid(learning_rates=[0.0]), "learning_rates: 0.0 must be a finite number above 0"),
    (grid(baseline="scrach"), "baseline 'scrach' is not among the variants; did you mean scratch?"),
    (grid(baseline="denoise_all"), "baseline denoise_all has the pretraining denoise"),
    (change(grid(), variants={"twin": {"freeze": "never"}}), "the variants scratch and twin differ in nothing"),
    (
        change(grid(), pretraining={"twin": {"pretext": "denoise"}}),
        "pretrainings denoise and twin differ in nothing",
    ),
    (
        change(grid(), pretraining={"twin": {"pretext": "denoise", "mask_ratio": 0.3, "epochs": 7}}),
        "pretrainings denoise and twin differ in nothing",
    ),
    (change(grid(), pretraining={"twin": {"noise_sigma": 0.1}}), "pretrainings plain and twin differ in nothing"),
    (
        change(grid(), pretraining={"a": {"target": "hog"}, "b": {"target": "hog", "ssim_weight": 0.3}}),
        "pretrainings a and b differ in nothing",
    ),
    (change(grid(), pretraining={"idle": {"skips": "none"}}), "no variant begins with the pretraining idle"),
    (change(grid(), variants={"a": {"freeze": 2}}), "freeze 2 never lets the encoder go, the log has 2 rows"),
    (
        change(grid(), variants={"twin": {"momentum": 0.5, "control": True}}),
        "the variants scratch and twin differ in nothing",
    ),
    (
        change(grid(), variants={"twin": {"max_steps": 6, "freeze": 0}}),
        "the variants scratch and twin differ in nothing",
    ),
    (
        change(grid(learning_rates=[0.5]), variants={"twin": {"learning_rate": 0.5}}),
        "the variants scratch and twin differ in nothing",
    ),
    *(
        (change(grid(), variants={"a": {"freeze": 1, **own}}), f"ablation.variants.a: {message} in the others")
        for own, message in [
            ({"max_steps": 9}, "max_steps 9, but 6"),
            ({"val_every": 2}, "val_every 2, but 3"),
            ({"batch_size": 8}, "batch_size 8, but 4"),
            ({"flip": 0.0}, "flip 0.0, but 0.5"),
            ({"weight_decay": 0.5}, "weight_decay 0.5, but 0.01"),
            (
                {"decoder_dropout": [0.1] * 5},
                "decoder_dropout [0.1, 0.1, 0.1, 0.1, 0.1], but [0.0, 0.0, 0.0, 0.0, 0.0]",
            ),
        ]
    ),
    (change(grid(), variants={"scratch": {"control": True}}), "baseline scratch is a control"),
    (change(grid(), variants={"a": {"init_weights": "w", "control": True}}), "a: init_weights w: every arm of a grid"),
    *(
        (change(grid(), variants={"a": {"freeze": 1, "learning_rate": rate}}), "a: learning_rate is one number above 0")
        for rate in (0, True, [0.1], "fast", float("inf"), float("nan"))
    ),
    (change(grid(), variants={"a": {"freeze": 1, "tags": "species"}}), "a: tags is a list of names, got 'species'"),
    ({**grid(), "budgets": [144, 72]}, "budgets 144, 72: give numbers above 0, each above the last"),
    ({**grid(), "budgets": [0]}, "budgets 0: give numbers above 0"),
    (change(grid(), variants={"a": {"freeze": 1, "control": "yes"}}), "control is true or false, got 'yes'"),
    (change(grid(), variants={"a": {"outside_weights": 1}}), "outside_weights is true or false, got 1"),
    (change(grid(), variants={"a": {"pretraining": ["plain"]}}), "pretraining is one name, got ['plain']"),
    (change(grid(), variants={"a": {"freeze": 1, "baseline": ["scratch"]}}), "baseline is one name, got ['scratch']"),
    (change(grid(), variants={"a": {"autoencoder": True}}), "unknown setting 'autoencoder'"),
    (
        change(grid(), variants={"a": {"encoder": LITE0, "normalisation": "unit", "encoder_weights": "imagenet"}}),
        OUTSIDE,
    ),
    (
        change(
            grid(),
            pretraining={"lite0": {"encoder": LITE0, "normalisation": "unit", "encoder_weights": "imagenet"}},
            variants={"a": {"encoder": LITE0, "normalisation": "unit", "pretraining": "lite0"}},
        ),
        OUTSIDE,
    ),
    (
        change(grid(), variants={"a": {"pretraining": "denoize"}}),
        "unknown pretraining 'denoize'; did you mean denoise?",
    ),
    (
        change(grid(), variants={"a": {"freze": 3}}),
        "ablation.variants.a: unknown setting 'freze'; did you mean freeze?",
    ),
    (change(grid(), variants={"a": {"freeze": "now"}}), "ablation.variants.a: freeze: "),
    (change(grid(), variants={"a": {"lr": 0.1}}), "ablation.variants.a: lr is set by the grid"),
    (change(grid(), variants={"a": {"transfer": "all", "freeze": 1}}), "ablation.variants.a: transfer all"),
    (
        change(grid(), variants={"a": {"pretraining": "plain", "width": 4, "control": True}}),
        "width 4, but 2 in its pretraining plain",
    ),
    (change(grid(), variants={"a/b": {"freeze": 3}}), "the name 'a/b' becomes part of file names"),
    (change(grid(), common={"max_stps": 3}), "ablation.common: unknown setting 'max_stps'; did you mean max_steps?"),
    (change(grid(), common={"max_steps": None}), "give max_steps in common"),
    (change(grid(), common={"epochs": 0}), "ablation.variants.scratch: epochs 0 must be at least 1"),
    (
        change(grid(), pretraining_common={"perceptual_weight": 0.1}),
        "give perceptual_weight 0 there",
    ),
    (
        change(grid(), pretraining={"d": {"pretext": "distil"}}, variants={"a": {"pretraining": "d"}}),
        "ablation.variants.a: its pretraining d distils tf_efficientnet_lite0, which learned from other pictures",
    ),
    (
        change(
            grid(),
            pretraining={"d": {"pretext": "distil"}},
            variants={"a": {"pretraining": "d", "transfer": "all", "outside_weights": True}},
        ),
        "ablation.variants.a: transfer all, but its pretraining d has no decoder",
    ),
    (change(grid(), pretraining_common={"skip": "all"}), "ablation.pretraining_common: unknown setting 'skip'"),
    ({**grid(), "comon": {}}, "unknown setting 'comon'; did you mean common?"),
    (grid(variants={}), "has no variants"),
    (grid(learning_rates=[float("inf")]), "learning_rates: inf must be a finite number above 0"),
    (grid(fractions=[float("inf")]), "fractions: inf must be a finite number above 0"),
    (grid(learning_rates=[0.003, 0.0030000001]), "learning_rates: 0.003 is given twice"),
    (grid(more_seeds={0.5: [3], 6: [4]}, fractions=[0.5]), "more_seeds: 0.5 and 6 are the same labels"),
    (
        change(grid(), variants={"a": {"flip": 0.0, "control": True, "baseline": "a"}}),
        "baseline a is the variant itself",
    ),
    (
        change(grid(), variants={"a": {"freeze": 3, "baseline": ""}}),
        "ablation.variants.a: baseline is one name, got ''",
    ),
    (change(grid(), variants={"a": {"freeze": 3, "tags": [""]}}), "ablation.variants.a: tags is a list of names"),
    (change(grid(), variants={"a": {"encoder": "resnet81"}}), "ablation.variants.a: encoder 'resnet81' is unknown"),
    (
        change(grid(), variants={"a": {"freeze": "stage:99"}}),
        "ablation.variants.a: freeze stage:99: the encoder has 6 stages",
    ),
    (
        change(grid(), variants={"a": {"encoder": "resnet18", "freeze": "first_params:60"}}),
        "ablation.variants.a: freeze first_params:60: the encoder has 60 parameter tensors",
    ),
    (
        change(grid(), variants={"a": {"flip": 0.0, "control": True, "device": "cuda:64"}}),
        "ablation.variants.a: device cuda:64 does not exist",
    ),
    (
        change(grid(), pretraining={"m": {"pretext": "mask", "mask_patch": 40}}, variants={"a": {"pretraining": "m"}}),
        "ablation.pretraining.m: mask_patch 40 covers the whole picture of 40 x 40 px",
    ),
]


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_grid_that_cannot_be_is_refused_before_anything_trains(content, message, pets, tmp_path, here, capsys):
    assert run(tmp_path, pets, content) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert here == []
    assert not (tmp_path / "results").exists()


def test_an_unknown_variant_and_a_class_without_labels_are_refused(pets, tmp_path, here, capsys):
    assert run(tmp_path, pets, grid(), "--variants", "scratch", "denoise_al") == 2
    assert "unknown variant 'denoise_al'; did you mean denoise_all?" in capsys.readouterr().err
    manifest = json.loads((pets / "manifest.json").read_text())
    for image in manifest["images"]:
        image["labelled"] &= image["tags"]["species"] == "dog"
    write_manifest(tmp_path / "data", manifest)
    assert run(tmp_path, tmp_path / "data", grid()) == 2
    assert "leaves no labelled picture of the species cat to learn from" in capsys.readouterr().err
    assert here == []


def test_rates_make_no_twins_of_what_a_call_leaves_out(pets, tmp_path):
    content = change(grid(learning_rates=[0.5]), variants={"twin": {"learning_rate": 0.5}})
    assert run(tmp_path, pets, content, "--variants", "scratch", "--list") == 0


def test_settings_that_have_a_say_are_not_left_out():
    """Of every two that differ in one setting, those differ in nothing whose setting is idle beside the others."""
    masked = {"pretext": "mask", "target": "normalised", "image_statistics": False}
    phase_1 = with_effect(ReconstructionConfig(**masked))
    for setting in ({"mask_patch": 8}, {"mask_ratio": 0.3}, {"loss_on": "all"}, {"epochs": 7}, {"skips": "none"}):
        assert with_effect(ReconstructionConfig(**{**masked, **setting})) != phase_1, setting
    for setting in ({"noise_sigma": 0.1}, {"mse_weight": 2.0}, {"val_every": 7}, {"cutout_size": 0.5}):
        assert with_effect(ReconstructionConfig(**{**masked, **setting})) == phase_1, setting
    phase_2 = with_effect(SegmentationConfig(max_steps=100))
    for setting in ({"momentum": 0.5}, {"val_every": 7}, {"weighted_ce": "off"}, {"freeze": 1}):
        assert with_effect(SegmentationConfig(**{"max_steps": 100, **setting})) != phase_2, setting
    for setting in ({"epochs": 7}, {"patience": 3}, {"freeze": 0}, {"device": "cpu"}):
        assert with_effect(SegmentationConfig(**{"max_steps": 100, **setting})) == phase_2, setting


def plan_of(content: dict, **settings):
    names = ("variants", "pretraining", "pretraining_common", "common")
    return build_plan(AblationConfig(**{name: content[name] for name in names}, **settings))


def test_a_control_is_told_from_the_variants_and_imagenet_from_the_rest(tmp_path):
    imagenet = {"encoder": LITE0, "normalisation": "unit", "encoder_weights": "imagenet", "outside_weights": True}
    own = {"long": {"max_steps": 12, "control": True}, "same": {"freeze": 1, "flip": 0.5}, "imagenet": imagenet}
    plan = plan_of(change(grid(), variants=own), results_dir=tmp_path)
    write_plan(plan)
    written = json.loads((tmp_path / "plan.json").read_text())
    assert [name for name, variant in written["variants"].items() if variant["control"]] == ["long"]
    assert [name for name, variant in written["variants"].items() if variant["outside_weights"]] == ["imagenet"]
    assert [name for name, variant in written["variants"].items() if variant["autoencoder"]] == [
        "plain_frozen",
        "denoise_all",
    ]
    assert plan.variants["imagenet"].config.encoder_weights == "imagenet"


def test_budgets_tags_and_families_stand_in_the_plan(tmp_path):
    own = {"long": {"max_steps": 12, "control": True, "family": "scratch", "tags": ["species tag"]}}
    write_plan(plan_of(change(grid(), variants=own), results_dir=tmp_path, budgets=(72, 144)))
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["budgets"] == [72, 144]
    assert (written["variants"]["long"]["family"], written["variants"]["long"]["tags"]) == ("scratch", ["species tag"])
    assert (written["variants"]["scratch"]["family"], written["variants"]["scratch"]["tags"]) == (None, [])


def test_the_plan_holds_the_digest_of_weights_and_not_where_they_lie(tmp_path):
    (tmp_path / "lite0.pth").write_bytes(b"weights")
    given = {"encoder": LITE0, "encoder_weights": str(tmp_path / "lite0.pth"), "outside_weights": True}
    write_plan(plan_of(change(grid(), variants={"file": given}), results_dir=tmp_path))
    written = json.loads((tmp_path / "plan.json").read_text())["variants"]
    assert written["file"]["settings"]["encoder_weights"] == f"sha256:{sha256(b'weights').hexdigest()}"
    assert "encoder_weights" not in written["scratch"]["settings"]


def test_a_fraction_may_have_more_seeds_than_the_others(pets, tmp_path):
    plan = plan_of(
        grid(), fractions=(0.5, 1.0), seeds=(1, 2), more_seeds={0.5: (3, 4), 0.1: (3,)}, results_dir=tmp_path
    )
    data = read_data(pets, (0.5, 1.0), (1, 2), (1.0,), {0.5: (3, 4)})
    arms = [work for work in all_works(plan, data) if work.file.parent.name == "arms"]
    assert len(arms) == 3 * 6
    assert [(arm.fraction, arm.seed) for arm in arms[::3]] == [
        (0.5, 1),
        (1.0, 1),
        (0.5, 2),
        (1.0, 2),
        (0.5, 3),
        (0.5, 4),
    ]
    assert {(arm.fraction, arm.seed) for arm in arms} == set(data.num_labels)
    write_plan(plan)
    written = json.loads((tmp_path / "plan.json").read_text())
    assert (written["seeds"], written["more_seeds"]) == ([1, 2], {"0.5": [3, 4]})


def test_a_rate_of_a_variants_own_is_taken_as_it_is(tmp_path, pets):
    content = change(grid(), variants={"own": {"learning_rate": 0.25}})
    lists = {"learning_rates": (0.5, 0.125), "seeds": (1,), "fractions": (1.0,), "tuned_at": (1.0,)}
    plan = plan_of(content, data_dir=pets, results_dir=tmp_path, only=("scratch", "own"), **lists)
    works = all_works(plan, read_data(pets, (1.0,), (1,), (1.0,)))
    tuned = [(work.variant.name, work.rate) for work in works if work.file.parent.name == "tuning"]
    assert tuned == [("scratch", 0.5), ("scratch", 0.125)]
    (own,) = [work for work in works if work.file.parent.name == "arms" and work.variant.name == "own"]
    assert own.rate == 0.25
    assert own.training_command()[1][own.training_command()[1].index("--lr") + 1] == "0.25"
    write_plan(plan)
    written = json.loads((tmp_path / "plan.json").read_text())["variants"]
    assert (written["own"]["learning_rate"], written["scratch"]["learning_rate"]) == (0.25, None)


def test_a_call_on_a_part_of_the_grid_leaves_the_plan_whole_where_there_are_arms(tmp_path):
    def written(**settings):
        write_plan(plan_of(grid(), results_dir=tmp_path, **settings))
        content = json.loads((tmp_path / "plan.json").read_text())
        return content["fractions"], content["seeds"], content["more_seeds"]

    whole = {"fractions": (0.5, 1.0), "seeds": (1, 2, 3), "more_seeds": {0.5: (4, 5)}}
    assert written(**whole) == ([0.5, 1.0], [1, 2, 3], {"0.5": [4, 5]})
    (tmp_path / "arms").mkdir()

    def arms(*contents):
        for number, (fraction, seed) in enumerate(contents):
            content = arm(counts_of(0.5, seed, 1), variant="scratch", fraction=fraction, seed=seed)
            (tmp_path / f"arms/{number} (copy).json").write_text(json.dumps(content))

    arms((0.5, 2), (0.5, 4))
    assert written(fractions=(1.0,), seeds=(2,)) == ([0.5, 1.0], [2], {"0.5": [4]})  # 3 and 5 have none
    assert written(fractions=(1.0,), seeds=(1,)) == ([0.5, 1.0], [], {"0.5": [2, 4], "1.0": [1]})
    assert written(**whole) == ([0.5, 1.0], [1, 2, 3], {"0.5": [4, 5]})
    third = {"fractions": (1 / 3, 1.0), "seeds": (1, 2), "more_seeds": {1 / 3: (7,)}}
    arms(*((fraction, seed) for fraction in (1 / 3, 1.0) for seed in (1, 2)), (1 / 3, 7))
    written(**third)
    assert written(fractions=(1.0,), seeds=(1,)) == ([1 / 3, 1.0], [1, 2], {repr(1 / 3): [7]})


def with_records(folder, pets, stratum, change):
    manifest = json.loads((pets / "manifest.json").read_text())
    for number, record in enumerate(manifest["images"]):
        change(number, record)
    write_manifest(folder, manifest, stratum=stratum)
    return folder


def test_numbers_of_labels_are_shares_of_the_labels_or_refused(pets, tmp_path):
    seen = Counter()

    def halves(number, record):
        record["tags"] = {"camera": f"camera {seen[record['split']] % 2}"}
        record["labelled"] = True
        seen[record["split"]] += 1

    folder = with_records(tmp_path, pets, "camera", halves)
    data = read_data(folder, [1.0], [1], [1.0])
    assert data.num_labels[1.0, 1] % 2 == 0
    config = AblationConfig(data_dir=folder, fractions=(4, 0.5, 1.0), tuned_at=(4, 1), more_seeds={4: (7,)})
    found = in_shares(config)
    share = 4 / data.num_labels[1.0, 1]
    assert (found.fractions, found.tuned_at, found.more_seeds) == ((share, 0.5, 1.0), (share, 1), {share: (7,)})
    assert read_data(folder, found.fractions, [1], [1.0]).num_labels[share, 1] == 4
    with pytest.raises(UserError, match=r"^3 labels, the same share of every camera of .* come to 4: "):
        in_shares(AblationConfig(data_dir=folder, fractions=(3,)))


def test_strata_are_what_the_data_say_they_are(pets, tmp_path):
    def cameras(number, record):
        record["tags"] = {"camera": f"camera {number % 3}"}
        record["labelled"] &= number % 3 != 2

    with pytest.raises(UserError, match="leaves no labelled picture of the camera camera 2 to learn from"):
        read_data(with_records(tmp_path / "tag", pets, "camera", cameras), [1.0], [1], [1.0])

    def classes(number, record):
        record["tags"], record["classes"] = {}, [0, 1, 2] if number % 4 == 0 else [0, 1]

    folder = with_records(tmp_path / "classes", pets, None, classes)
    train = [
        (record["name"], len(record["classes"]))
        for record in json.loads((folder / "manifest.json").read_text())["images"]
        if record["split"] == "Train" and record["labelled"]
    ]
    # Of each kind of picture a third, at least one.
    expected = sum(max(1, round(sum(held == kind for _, held in train) / 3)) for kind in {held for _, held in train})
    assert read_data(folder, [1 / 3], [1], [1.0]).num_labels[1 / 3, 1] == expected

    def unknown(number, record):
        record["tags"], record["classes"] = {}, []

    data = read_data(with_records(tmp_path / "unknown", pets, None, unknown), [1.0], [1], [1.0])
    assert data.num_labels[1.0, 1] == len(train)


def test_rates_come_from_the_nearest_fraction_and_labels_are_counted_as_training_does(pets, tmp_path, here):
    plan = plan_of(grid(), tuned_at=(0.1, 1.0))
    assert [plan.tuned_at(fraction) for fraction in (0.01, 0.1, 0.25, 0.33, 1.0)] == [0.1, 0.1, 0.1, 1.0, 1.0]
    manifest = json.loads((pets / "manifest.json").read_text())
    train = [image for image in manifest["images"] if image["split"] == "Train" and image["labelled"]]
    chosen = label_subset([image["name"] for image in train], [image["tags"]["species"] for image in train], 0.5, 7)
    assert read_data(pets, [0.5], [7], [1.0]).num_labels[0.5, 7] == len(chosen)
