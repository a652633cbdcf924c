"""The latent space: pooled features by hand, probes on planted and on absent structure, figures, the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sample_latent import evaluate_untrained, save_untrained
from sample_pets import make_pets

from data.opened import open_data
from data.prepare import main as prepare
from reconstruction.evaluate import main
from reconstruction.latent.analysis import analyse
from reconstruction.latent.figures import save_panels, save_scatter
from reconstruction.latent.groups import groupings
from reconstruction.latent.space import pooled_bottleneck, project, random_twin, separability
from reconstruction.network import Autoencoder

# Groups do not depend on the channels: in colour in `make test`, in grey too in the rest.
COLOURED_FIRST = pytest.mark.parametrize("rectangles", [pytest.param(1, marks=pytest.mark.all), 3], indirect=True)


@pytest.fixture(scope="module")
def planted():
    """Ninety vectors in three clusters, far apart, and the name of each one's cluster."""
    generator = np.random.default_rng(0)
    names = np.repeat(["a", "b", "c"], 30)
    centres = {name: generator.normal(scale=8, size=12) for name in "abc"}
    return np.stack([centres[name] + generator.normal(size=12) for name in names]).astype(np.float32), [*names]


def test_pooled_features_are_means_over_the_content():
    torch.manual_seed(0)
    model = Autoencoder(width=2).eval()
    images = torch.rand(3, 3, 128, 96)
    content = torch.zeros(3, 1, 128, 96, dtype=torch.bool)
    content[0, :, 32:96] = True
    content[1, :, :48, :32] = True
    content[2] = True
    with torch.no_grad():
        found = pooled_bottleneck(model, images, content)
        features = model.encoder(model.normalise(images, content))[-1]
    assert features.shape == (3, 32, 4, 3)
    torch.testing.assert_close(found[0], features[0, :, 1:3].mean((1, 2)))
    # 48 rows are one position and half of the next.
    torch.testing.assert_close(found[1], (features[1, :, 0, 0] + features[1, :, 1, 0] / 2) / 1.5)
    torch.testing.assert_close(found[2], features[2].mean((1, 2)))


def test_planted_clusters_are_found(planted):
    scores = separability(*planted)
    assert scores["linear_probe"]["mean"] == scores["knn"]["mean"] == 1
    assert scores["silhouette"] > 0.5
    assert scores["chance"] == pytest.approx(1 / 3)
    assert (scores["images"], scores["classes"], scores["folds"], scores["note"]) == (90, 3, 5, None)


def test_noise_tells_nothing_apart():
    generator = np.random.default_rng(1)
    scores = separability(generator.normal(size=(600, 8)).astype(np.float32), [*"abc"] * 200)
    for probe in ("linear_probe", "knn"):
        # Four deviations of a guess that is right every third time.
        assert scores[probe]["mean"] == pytest.approx(1 / 3, abs=4 * (2 / 9 / 600) ** 0.5)
    assert abs(scores["silhouette"]) < 0.02


def test_pictures_without_a_peer_are_left_out(planted):
    features, names = planted
    scores = separability(features, [None, "alone", *names[2:]])
    assert scores["images"] == 88
    assert scores["note"] == "left out: 1 without a known label, 1 alone in a class"
    assert scores["linear_probe"]["mean"] == 1


def test_fewer_pictures_than_folds_or_neighbours(planted):
    features, names = planted
    scores = separability(features[27:33], names[27:33])
    assert scores["folds"] == 3
    assert scores["linear_probe"]["mean"] == scores["knn"]["mean"] == 1


@pytest.mark.parametrize(
    ("labels", "note"),
    [([None] * 4, "no picture's label is known"), (["a"] * 4, "a single class"), ([*"abcd"], "4 alone in a class")],
)
def test_what_cannot_be_told_apart_is_null_with_the_reason(labels, note):
    scores = separability(np.random.default_rng(0).random((4, 3)), labels)
    assert scores["linear_probe"] is scores["knn"] is scores["silhouette"] is scores["folds"] is None
    assert note in scores["note"]


def test_explained_variance_is_that_of_the_correlation_matrix():
    features = np.random.default_rng(0).normal(size=(80, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    values = np.linalg.eigvalsh(np.corrcoef(features.T))[::-1]
    projection = project(features)
    assert projection.variance == pytest.approx(values / values.sum())
    assert projection.pca.var(axis=0) == pytest.approx(values[:2])


def test_tsne_keeps_clusters_together_and_repeats_itself(planted):
    points = project(planted[0]).tsne
    assert np.array_equal(points, project(planted[0]).tsne)
    assert separability(points, planted[1])["silhouette"] > 0.5


def test_projections_of_few_or_equal_pictures():
    generator = np.random.default_rng(0)
    for features in (generator.random((1, 8)), generator.random((2, 8)), np.full((9, 8), 0.3)):
        projection = project(features)
        assert projection.pca is projection.tsne is None
        assert not len(projection.variance)
    four = project(generator.random((4, 8)))
    assert four.pca.shape == (4, 2)
    assert four.tsne is None
    assert np.isfinite(project(generator.random((5, 8))).tsne).all()
    assert project(generator.random((6, 1))).pca.shape == (6, 2)


def test_the_random_twin_is_always_the_same():
    before = torch.get_rng_state()
    twins = [random_twin({"width": 2, "skips": "none"}, torch.device("cpu")) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert not twins[0].training
    for one, other in zip(*(twin.parameters() for twin in twins), strict=True):
        assert torch.equal(one, other)
    weight = twins[0].encoder.stages[2].conv1.weight
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.2)


def test_equal_figures_have_equal_bytes(planted, tmp_path):
    features, names = planted
    projection = project(features)
    species = [{"a": "cat", "b": "dog"}.get(name) for name in names]
    for file in ("1.png", "2.png"):
        save_scatter(tmp_path / "scatter" / file, {"trained": projection, "random": project(features[:2])}, species)
        save_panels(tmp_path / "panels" / file, "by breed", projection.pca, [*names[:-1], None], species)
    for kind in ("scatter", "panels"):
        one, two = ((tmp_path / kind / file).read_bytes() for file in ("1.png", "2.png"))
        assert one == two
        assert len(one) > 5000


@pytest.fixture(scope="module")
def breeds(tmp_path_factory):
    """Eight Test pictures of four breeds, letterboxed, and sixteen of Train."""
    root = tmp_path_factory.mktemp("breeds")
    flags = ["--archives", str(make_pets(root / "source")), "--output_dir", str(root / "processed"), "--size", "48"]
    assert prepare(flags) == 0
    return root / "processed"


def test_the_command_by_every_tag(breeds, tmp_path, capsys):
    content = evaluate_untrained(main, breeds, tmp_path, "--split", "Train", "--analyze_latent_space")
    latent = content["latent_space"]
    assert latent == json.loads((tmp_path / "out/latent_space.json").read_text())
    assert latent["num_images"] == content["num_samples"] == 16
    assert latent["channels"] == 32
    tags = latent["tags"]
    assert tags.keys() == {"breed", "species"}
    assert latent["strata"] is None  # they are the tag species
    assert tags["species"]["chance"] == 0.5
    assert tags["breed"]["classes"] == 4
    for found in tags.values():
        for encoder in ("trained", "random"):
            assert 0 <= found[encoder]["linear_probe"]["mean"] <= 1
            assert -1 <= found[encoder]["silhouette"] <= 1
    assert tags["species"]["trained"] != tags["species"]["random"]
    assert 0 < latent["explained_variance"]["trained"]["first_2"] < latent["explained_variance"]["trained"]["first_10"]
    files = {entry["file"] for entry in content["figures"]}
    assert {"figures/latent_species.png", "figures/latent_breed.png"} < files
    assert "Latent space" in capsys.readouterr().out


def test_the_command_with_a_single_tag(pets, tmp_path):
    content = evaluate_untrained(main, pets, tmp_path, "--analyze_latent_space", "--visualize_samples", "0")
    assert content["latent_space"]["tags"].keys() == {"species"}
    assert [entry["file"] for entry in content["figures"]] == ["figures/latent_species.png"]


@COLOURED_FIRST
def test_other_tags_and_the_rarest_class_group_pictures_too(rectangles, tmp_path, capsys):
    content = evaluate_untrained(
        main, rectangles, tmp_path, "--split", "Train", "--analyze_latent_space", "--visualize_samples", "0"
    )
    latent = content["latent_space"]
    assert latent["tags"].keys() == {"camera", "keeper"}
    assert latent["tags"]["keeper"]["classes"] == 4
    assert latent["strata"]["classes"] == 2
    assert latent["strata"]["images"] == 9  # those with a mask
    captions = {entry["file"]: entry["caption"] for entry in content["figures"]}
    assert len(captions) == 3
    assert "coloured by camera" in captions["figures/latent_camera.png"]
    said = capsys.readouterr().out
    assert "latent space by rarest class: left out: 9 without a known label" in said
    assert "keeper, linear probe" in said


def test_tags_of_one_value_of_too_many_or_of_one_each_group_nothing(pets):
    split = open_data(pets).split("Train")
    count = len(split.names)
    tags = {
        "one": ["a"] * count,
        "each": [f"{index}" for index in range(count)],
        "unknown": [None] * count,
        "a/b": ["x", "y"] * (count // 2),
        "a:b": ["x", "y", None] * 2 + ["y"] * (count - 6),
    }
    found, strata, notes = groupings(replace(split, tags=tags))
    assert [group.title for group in found] == ["a/b", "a:b"]
    assert len({group.stem for group in found}) == 2
    assert strata is None
    assert notes == []
    tags = {"many": [f"{index % 201}" for index in range(402)]}
    found, strata, notes = groupings(replace(split, tags=tags, manifest=replace(split.manifest, stratum=None)))
    assert found == []
    assert strata is not None
    assert strata.title == "rarest class"
    assert notes == ["the tag many has 201 values: at most 200 are told apart"]


@COLOURED_FIRST
def test_many_groups_are_drawn_as_panels_and_few_as_colours(rectangles, tmp_path):
    split = open_data(rectangles).split("Train")
    architecture = {"width": 2, "in_channels": split.channels}
    model = random_twin(architecture, torch.device("cpu"))
    tags = {"=1+$x$": [f"_{index % 9} $\foo$" for index in range(len(split.names))]}
    manifest = replace(split.manifest, stratum="=1+$x$")
    split = replace(split, tags=tags, manifest=manifest, strata=tags["=1+$x$"])
    result, entries = analyse(model, architecture, split, tmp_path, 8, torch.device("cpu"))
    assert result["tags"].keys() == tags.keys()
    assert [entry["title"] for entry in entries] == [
        "Latent space",
        *(
            f"Latent space by =1+$x$: {view}, {name} encoder"
            for name in ("trained", "random")
            for view in ("PCA", "t-SNE")
        ),
    ]
    assert all((tmp_path / entry["file"]).stat().st_size > 1000 for entry in entries)


def test_without_the_flag_nothing_of_it_is_there(pets, tmp_path):
    content = evaluate_untrained(main, pets, tmp_path, "--visualize_samples", "0")
    assert "latent_space" not in content
    assert not (tmp_path / "out/latent_space.json").exists()


def test_the_trained_encoder_is_the_one_of_the_file(pets, tmp_path):
    """Given the random twin's own weights, both columns are the same."""
    twin = random_twin({"width": 2}, torch.device("cpu"))
    save_untrained(tmp_path / "best_model.safetensors", twin, {"width": 2})
    flags = ["--data_dir", str(pets), "--model_path", str(tmp_path / "best_model.safetensors"), "--device", "cpu"]
    assert main([*flags, "--analyze_latent_space", "--visualize_samples", "0", "--output_dir", str(tmp_path)]) == 0
    species = json.loads((tmp_path / "latent_space.json").read_text())["tags"]["species"]
    assert species["trained"] == species["random"]
