"""Downloads arrive whole or not at all, whatever the server does; what arrived of them is kept."""

import hashlib
import os
import shutil
import time
from dataclasses import replace
from importlib import import_module

import pytest
from sample_server import CONTENT, NAME, Server, serving
from sample_sources import FORMS, names, pack, samples

from core.errors import UserError
from data.prepare_config import PrepareConfig
from data.sources import ade20k, isic2018, oxford_pets, voc2012
from data.sources.fetching import connection
from data.sources.fetching.download import MAX_DOWNLOAD_BYTES, Download, download, download_all
from data.sources.table import DATA_SETS, open_source

MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server():
    with serving() as running:
        yield running


def file_of(server: Server, name: str = NAME, algorithm: str = "md5") -> Download:
    """Return the record of a file of a server, with its right checksum."""
    content = CONTENT if name == NAME else server.files[name]
    return Download(server.url(name), hashlib.new(algorithm, content).hexdigest(), algorithm)


def test_a_download_arrives_whole_and_is_not_fetched_twice(server, tmp_path):
    path = tmp_path / "raw" / "images.tar.gz"
    download(file_of(server), path)
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert [file.name for file in path.parent.iterdir()] == ["images.tar.gz"]


def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    server.cut = 100_000
    with pytest.raises(UserError, match=r"after 100000 of 300000 bytes.*is kept"):
        download(file_of(server), path)
    assert not path.exists()
    server.cut = None
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    (tmp_path / "images.tar.gz.part").write_bytes(b"x" * 1000)
    server.ranges = False
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * 400_000], ids=["altered", "too long"])
def test_a_wrong_checksum_is_refused_and_the_next_call_starts_over(server, tmp_path, part):
    path = tmp_path / "images.tar.gz"
    (tmp_path / "images.tar.gz.part").write_bytes(part)
    with pytest.raises(UserError, match="another checksum"):
        download(file_of(server), path)
    assert not list(tmp_path.iterdir())
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_whole_needs_no_more_bytes(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    (tmp_path / "images.tar.gz.part").write_bytes(CONTENT)
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT


def test_another_file_of_that_name_is_kept_and_refused(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match="not the official file"):
        download(file_of(server), path)
    assert path.read_bytes() == b"mine"


def test_a_missing_address_and_a_missing_server_are_named(server, tmp_path):
    with pytest.raises(UserError, match=r"nowhere.* 404"):
        download(Download(server.url("nowhere"), MD5), tmp_path / "a")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1/a could not be fetched"):
        download(Download("http://127.0.0.1:1/a", MD5), tmp_path / "a")


@pytest.mark.parametrize("said", [None, 100_000, 400_000, "many", "-5"])
def test_no_length_or_a_false_one_does_no_harm(server, tmp_path, said):
    server.said = said
    path = tmp_path / "images.tar.gz"
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["images.tar.gz"]


def test_a_cut_without_a_length_is_kept_and_goes_on(server, tmp_path):
    server.said, server.cut = None, 100_000
    path, part = tmp_path / "images.tar.gz", tmp_path / "images.tar.gz.part"
    with pytest.raises(UserError, match=r"ended after 100000 bytes without saying how many.*is kept, call again"):
        download(file_of(server), path)
    assert part.read_bytes() == CONTENT[:100_000]
    server.cut = None
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_what_arrived_before_a_stall_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "_TIMEOUT_SECONDS", 0.2)
    server.stall = 50_000
    path, part = tmp_path / "images.tar.gz", tmp_path / "images.tar.gz.part"
    with pytest.raises(UserError, match=r"timed out.*is kept"):
        download(file_of(server), path)
    assert part.read_bytes() == CONTENT[:50_000]
    server.stall = None
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT


def test_what_does_not_end_is_refused(server, tmp_path):
    server.said = None
    with pytest.raises(UserError, match="more than 200000 bytes: it is not the official file"):
        download(replace(file_of(server), limit=200_000), tmp_path / "images.tar.gz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ranges", [True, False])
def test_another_file_is_deleted_after_the_server_had_no_more(server, tmp_path, ranges):
    server.files[NAME], server.ranges = CONTENT[::-1], ranges
    with pytest.raises(UserError, match="another checksum"):
        download(file_of(server), tmp_path / "images.tar.gz")
    assert not list(tmp_path.iterdir())


def test_a_pipe_in_the_place_of_a_part_is_named(server, tmp_path):
    os.mkfifo(tmp_path / "images.tar.gz.part")
    with pytest.raises(UserError, match="not a regular file but a pipe"):
        download(file_of(server), tmp_path / "images.tar.gz")


@pytest.mark.parametrize("drip", ["headers", "content"])
def test_a_server_that_drips_is_given_up_and_goes_on_later(server, tmp_path, monkeypatch, drip):
    monkeypatch.setattr(connection, "_WINDOW_SECONDS", 0.2)
    path, part = tmp_path / NAME, tmp_path / f"{NAME}.part"
    part.write_bytes(CONTENT[:1000])
    server.drip = drip
    began = time.monotonic()
    with pytest.raises(
        UserError, match=r"could not be fetched \(only \d+ bytes came in 0 s\); what arrived is kept, call again"
    ):
        download(file_of(server), path)
    assert time.monotonic() - began < 2
    kept = part.read_bytes()
    assert CONTENT.startswith(kept)
    assert 1000 <= len(kept) < 1000 + 20
    server.drip = ""
    download(file_of(server), path)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", f"bytes={len(kept)}-"]


def test_a_sha256_decides_where_the_publisher_states_one(server, tmp_path):
    download(file_of(server, algorithm="sha256"), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    other = replace(file_of(server, algorithm="sha256"), checksum=hashlib.sha256(b"").hexdigest())
    with pytest.raises(UserError, match=r"not the official file \(SHA256 differs\)"):
        download(other, tmp_path / NAME)
    with pytest.raises(UserError, match="another checksum"):
        download(other, tmp_path / "b")


def test_what_is_to_be_fetched_is_said_before(server, tmp_path, capsys):
    server.files |= {"b": CONTENT[:100_000], "c": CONTENT[:50_000]}
    files = [file_of(server, name) for name in (NAME, "b", "c")]
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:30_000])
    (tmp_path / "c").write_bytes(CONTENT[:50_000])
    download_all(files, tmp_path)
    assert f"fetching 370.0 kB into {tmp_path}: {NAME}, b\n" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c", NAME]
    download_all(files, tmp_path)
    assert "fetching" not in capsys.readouterr().out


def test_a_disk_without_room_is_named_before_a_byte_is_fetched(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=599_999))
    with pytest.raises(UserError, match=r"600.0 kB free, but .* take 600.0 kB: make room, or give --raw_dir"):
        download_all([file_of(server)], tmp_path)
    assert not server.asked
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=600_000))
    download_all([file_of(server)], tmp_path)


@pytest.mark.parametrize("said", [None, "many", 10**15])
def test_a_size_that_nobody_can_believe_refuses_nothing(server, tmp_path, monkeypatch, said, capsys):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * MAX_DOWNLOAD_BYTES))
    server.said = said
    download_all([file_of(server)], tmp_path)
    assert ("fetching 4.0 GB" if said == 10**15 else "fetching at least 0 bytes") in capsys.readouterr().out


def test_a_server_that_tells_nothing_beforehand_is_asked_for_the_file(server, tmp_path):
    server.head = False
    download_all([file_of(server)], tmp_path)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1/a could not be fetched"):
        download_all([Download("http://127.0.0.1:1/a", MD5)], tmp_path)


@pytest.mark.parametrize(("name", "module"), [("voc", voc2012), ("ade20k", ade20k), ("isic", isic2018)])
def test_what_is_downloaded_gives_what_the_archives_give(server, tmp_path, monkeypatch, name, module):
    form = FORMS[name]
    labels = form.make(tmp_path / "data")
    pack(tmp_path / "data", tmp_path / "packed", form.archives)
    server.files = {path.name: path.read_bytes() for path in (tmp_path / "packed").iterdir()}
    algorithms = {file.name: file.algorithm for file in module.DOWNLOADS}
    assert algorithms.keys() == server.files.keys()
    monkeypatch.setattr(module, "DOWNLOADS", [file_of(server, *row) for row in algorithms.items()])
    config = PrepareConfig(dataset=form.dataset, download=True, raw_dir=tmp_path / "raw")
    config.check_source()
    source = open_source(config)
    given = open_source(replace(config, download=False, archives=tmp_path / "packed", raw_dir=tmp_path / "raw2"))
    assert list(samples(source)) == sorted(labels)
    assert names(source, "Test") == names(given, "Test")
    assert source.details == given.details
    assert {name: found["md5"] for name, found in source.details["archives"].items()} == {
        name: hashlib.md5(content).hexdigest() for name, content in server.files.items()
    }


def test_the_table_says_which_data_sets_can_be_fetched():
    can = {name for name, row in DATA_SETS.items() if getattr(import_module(row.module), "DOWNLOADS", ())}
    assert can == {name for name, row in DATA_SETS.items() if "download" in row.settings}
    assert can == {"oxford_pets", "voc2012", "ade20k", "isic2018"}
    for module in (oxford_pets, voc2012, ade20k, isic2018):
        for file in module.DOWNLOADS:
            assert len(file.checksum) == {"md5": 32, "sha256": 64}[file.algorithm]
            assert int(file.checksum, 16)
            assert file.limit == (12_000_000_000 if "Training_Input" in file.name else MAX_DOWNLOAD_BYTES)
