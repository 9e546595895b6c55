"""What is checked when a store is opened: rights, links, kind of disk, kind of file, schema."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import zipfile
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from workbench.errors import SchemaTooNew, StoreError, WorkspaceBusy, WorkspaceDamaged
from workbench.store import network
from workbench.store.liveness import OwnerLock, dead_owners
from workbench.store.sqlite import connect, migrate, queries
from workbench.store.sqlite.database import Database

REPOSITORY = Path(__file__).parents[2]
posix_only = pytest.mark.skipif(
    sys.platform == "win32", reason="Not on Windows: the test is about modes and owners of files."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def made(folder: Path) -> None:
    db = Database(folder)
    db.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('mine', '1')")).result()
    db.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- rights -----------------------------------------------------------------------------------


@posix_only
def test_folder_and_files_are_private_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        db = Database(folder / "deeper")
        db.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('a', '')")).result()
        assert mode(db.folder) == 0o700
        for name in ("workbench.sqlite3", "workbench.sqlite3-wal", "workbench.sqlite3-shm"):
            assert mode(db.folder / name) == 0o600
        assert mode(db.folder / "write.lock") == 0o600
        db.backup(folder / "copy")
        assert mode(folder / "copy") == 0o600
        db.close()
    finally:
        os.umask(before)


@posix_only
def test_open_rights_are_put_right(folder: Path) -> None:
    made(folder)
    folder.chmod(0o777)
    (folder / connect.DATABASE).chmod(0o644)
    made_again = Database(folder)
    made_again.close()
    assert mode(folder) == 0o700
    assert mode(folder / connect.DATABASE) == 0o600


@posix_only
def test_a_shared_folder_with_other_things_in_it_is_refused_and_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").touch()
    folder.chmod(0o777)
    with pytest.raises(StoreError, match="chmod 700"):
        Database(folder)
    assert mode(folder) == 0o777
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


@posix_only
def test_a_folder_with_other_things_that_only_we_can_write_keeps_its_mode(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").touch()
    folder.chmod(0o755)
    made(folder)
    assert mode(folder) == 0o755
    assert mode(folder / connect.DATABASE) == 0o600


@posix_only
def test_a_linked_database_is_refused(folder: Path, tmp_path: Path) -> None:
    made(tmp_path / "real")
    folder.mkdir()
    (folder / connect.DATABASE).symlink_to(tmp_path / "real" / connect.DATABASE)
    with pytest.raises(StoreError, match="symbolic link"):
        Database(folder)
    (folder / connect.DATABASE).unlink()
    (folder / f"{connect.DATABASE}-wal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        Database(folder)


@posix_only
def test_a_linked_folder_is_followed(folder: Path, tmp_path: Path) -> None:
    made(tmp_path / "big disk")
    folder.symlink_to(tmp_path / "big disk")
    db = Database(folder)
    assert db.folder == tmp_path / "big disk"
    db.close()


@posix_only
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="As root only: the test gives a file to another user.",
)
@pytest.mark.parametrize("name", [".", connect.DATABASE])
def test_another_users_folder_or_file_is_refused(folder: Path, name: str) -> None:
    made(folder)
    os.chown(folder / name, 12345, 12345)
    with pytest.raises(StoreError, match="belongs to another user"):
        Database(folder)


def test_a_file_in_the_place_of_the_folder_is_refused(folder: Path) -> None:
    folder.touch()
    with pytest.raises(StoreError, match="folder"):
        Database(folder)
    with pytest.raises(StoreError, match="folder"):
        Database(folder / "below")


@pytest.mark.parametrize("name", ["with space", "ünïcödé", "a#b?c%20d&mode=ro", "'\";--"])
def test_any_folder_name_works(tmp_path: Path, name: str) -> None:
    made(tmp_path / name)
    assert (tmp_path / name / connect.DATABASE).is_file()
    again = Database(tmp_path / name)
    assert again.sql("SELECT value FROM meta WHERE key = 'mine'")[1] == [("1",)]
    again.close()


# -- kind of file -----------------------------------------------------------------------------


def test_another_programs_database_is_refused_and_left_unchanged(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    path = folder / connect.DATABASE
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE history (line)")
    foreign.commit()
    foreign.close()
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(WorkspaceDamaged, match="not one of image-workbench"):
        Database(folder)
    assert path.read_bytes() == before


def test_something_that_is_no_database_is_refused_and_left_unchanged(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    path = folder / connect.DATABASE
    path.write_bytes(b"this is a text, and quite a long one. " * 100)
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(WorkspaceDamaged, match="damaged or not an image-workbench database"):
        Database(folder)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_workspace(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / connect.DATABASE).touch(mode=0o600)
    db = Database(folder)
    assert db.is_new
    db.close()


def test_a_log_without_its_database_is_not_overwritten(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    log = folder / f"{connect.DATABASE}-wal"
    log.write_bytes(b"precious")
    with pytest.raises(WorkspaceDamaged, match="missing"):
        Database(folder)
    assert log.read_bytes() == b"precious"


def test_a_failed_opening_leaves_no_lock_behind(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    path = folder / connect.DATABASE
    path.write_bytes(b"no database at all, but long enough to be looked at " * 40)
    with pytest.raises(WorkspaceDamaged):
        Database(folder, detect_network=lambda _: "nfs")
    path.unlink()
    made(folder)


# -- the last owner died ------------------------------------------------------------------------


def die_as_owner(folder: Path, id: str) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from workbench.store.liveness import OwnerLock\n"
        "OwnerLock(pathlib.Path(sys.argv[1]), sys.argv[2]).acquire()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder), id], cwd=REPOSITORY, check=False)


def test_after_a_death_the_store_is_checked_and_the_dead_are_cleared_away(folder: Path) -> None:
    made(folder)
    die_as_owner(folder, "a" * 26)
    living = OwnerLock(folder, "b" * 26)
    living.acquire()
    assert dead_owners(folder) == ["a" * 26]
    db = Database(folder)
    assert dead_owners(folder) == []
    assert [path.name for path in (folder / "owners").iterdir()] == ["b" * 26 + ".lock"]
    db.close()
    living.release()


def test_after_a_death_a_damaged_store_is_not_opened(folder: Path) -> None:
    db = Database(folder)
    for number in range(200):
        db.write(
            lambda tx, number=number: tx.execute(
                "INSERT INTO meta VALUES (?, ?)", (f"{number:03}", "x" * 500)
            )
        )
    db.close()
    die_as_owner(folder, "a" * 26)
    path = folder / connect.DATABASE
    data = bytearray(path.read_bytes())
    middle = len(data) - 30 * 4096 // 4096 * 4096
    data[middle : middle + 4096] = os.urandom(4096)
    path.write_bytes(data)
    with pytest.raises(WorkspaceDamaged, match="backup"):
        Database(folder)
    assert dead_owners(folder) == ["a" * 26]


# -- network file systems -----------------------------------------------------------------------

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:20 / /home rw - nfs4 server:/home rw
31 30 0:21 / /home/ana/data\\040disk rw shared:1 - fuse.sshfs ana@host: rw
32 22 0:22 / /mnt/ntfs rw - fuseblk /dev/sdb1 rw
33 22 0:23 / /mnt/over rw - ext4 /dev/sdc rw
34 22 0:24 / /mnt/over rw - cifs //server/share rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/x", None),
        ("/home", "nfs4"),
        ("/home/ana/work", "nfs4"),
        ("/homes/ana", None),
        ("/home/ana/data disk/w", "fuse.sshfs"),
        ("/mnt/ntfs/w", None),
        ("/mnt/over/w", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_found_in_the_table_of_mounts(
    path: str, kind: str | None
) -> None:
    assert network.network_type(network.mount_type(MOUNTS, path)) == kind


def test_this_machines_disk_is_found_local_both_ways(tmp_path: Path) -> None:
    assert network.file_system(tmp_path) is None
    if sys.platform == "linux":
        assert network._by_magic(tmp_path) is None


def on_nfs(_path: Path) -> str:
    return "nfs4"


def test_on_a_network_disk_one_process_works_without_shared_memory(folder: Path) -> None:
    db = Database(folder, detect_network=on_nfs)
    heard: list[int] = []
    db.on_commit(lambda: heard.append(1))

    def work(tx: object) -> None:
        tx.execute("INSERT INTO meta VALUES ('a', 'b')")  # type: ignore[attr-defined]
        tx.changed = True  # type: ignore[attr-defined]

    first = db.data_version()
    db.write(work, full=True).result()  # type: ignore[arg-type]
    assert db.data_version() != first
    assert heard == [1]
    assert not Path(f"{db.path}-shm").exists()
    with db.reading() as reader:
        assert reader.scalar("SELECT value FROM meta WHERE key = 'a'") == "b"
        with db.reading() as inner:
            assert inner.scalar("SELECT 1") == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM meta")
    assert db.sql("SELECT count(*) FROM change")[1] == [(0,)]
    assert db.integrity_check() == []
    db.backup(folder.parent / "copy.sqlite3")
    db.write(lambda tx: tx.execute("DELETE FROM meta WHERE key = 'a'")).result()
    db.close()
    again = Database(folder)  # the disk was copied to a local one
    assert again.workspace_id == db.workspace_id
    again.close()


def test_on_a_network_disk_the_second_process_learns_who_holds_it(folder: Path) -> None:
    db = Database(folder, detect_network=on_nfs)
    with pytest.raises(WorkspaceBusy) as caught:
        Database(folder, detect_network=on_nfs)
    text = str(caught.value)
    assert f"process {os.getpid()}" in text
    assert "PostgreSQL" in text
    db.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('a', 'b')")).result()
    db.close()
    Database(folder, detect_network=on_nfs).close()


def test_a_lease_of_a_killed_process_is_free(folder: Path) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from workbench.store.sqlite.database import Database\n"
        "Database(pathlib.Path(sys.argv[1]), detect_network=lambda _: 'nfs')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], cwd=REPOSITORY, check=False)
    assert "pid" in (folder / connect.LEASE).read_text()
    Database(folder, detect_network=on_nfs).close()


def test_without_locks_the_words_in_the_lease_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        pytest.skip("Not on Windows: the test takes flock away, which Windows has not.")
    import errno
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    path = tmp_path / "lease"
    network.Lease(path).acquire()
    with pytest.raises(WorkspaceBusy, match="delete the file"):
        network.Lease(path).acquire()
    path.write_text('{"host": "another-machine", "pid": 1}')
    with pytest.raises(WorkspaceBusy, match="another-machine"):
        network.Lease(path).acquire()
    path.write_text(path.read_text().replace("another-machine", network.socket.gethostname()))
    path.write_text(path.read_text().replace('"pid": 1', '"pid": 4194304'))
    last = network.Lease(path)
    last.acquire()
    last.release()
    assert last.holder() == {}


# -- SQLite's version ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "warns"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_old_sqlite_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], warns: bool
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    warning = connect.version_warning()
    assert (warning is not None) is warns
    if warning is not None:
        assert "3.51.3" in warning


# -- migrations ---------------------------------------------------------------------------------


def more(tmp_path: Path, **scripts: str) -> list[Traversable]:
    """A folder of further migrations: `_0005_colour="ALTER …"`."""
    folder = tmp_path / "more"
    folder.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (folder / f"{name.lstrip('_')}.sql").write_text(script)
    return [folder]


COLOUR = """
-- A comment; with a semicolon.
ALTER TABLE project ADD COLUMN colour TEXT NOT NULL DEFAULT 'gold;';
CREATE TRIGGER project_colour AFTER UPDATE OF colour ON project BEGIN
    UPDATE project SET rev = CASE WHEN new.colour = 'x' THEN 1 ELSE rev + 1 END WHERE id = new.id;
    DELETE FROM preference WHERE key = ';';
END;
/* the end; */
"""


def with_a_project(folder: Path) -> str:
    db = Database(folder)
    db.write(
        lambda tx: tx.execute(
            "INSERT INTO project (id, title, owner, created_at, updated_at)"
            " VALUES ('p', 'Sea', 'ana', 1, 1)"
        )
    ).result()
    db.close()
    return db.workspace_id


@pytest.mark.req("DAT-1")
def test_a_migration_keeps_the_rows_and_makes_a_backup_first(folder: Path, tmp_path: Path) -> None:
    workspace_id = with_a_project(folder)
    db = Database(folder, more_migrations=more(tmp_path, _0005_colour=COLOUR))
    assert db.workspace_id == workspace_id
    assert db.sql("SELECT title, colour, rev FROM project")[1] == [("Sea", "gold;", 1)]
    db.write(lambda tx: tx.execute("UPDATE project SET colour = 'red'")).result()
    assert db.sql("SELECT rev FROM project")[1] == [(2,)]
    assert db.sql("SELECT number, name FROM migration")[1] == [
        (1, "initial"),
        (2, "pages"),
        (3, "visitors"),
        (4, "caps"),
        (5, "colour"),
    ]
    assert db.sql("PRAGMA user_version")[1] == [(5,)]
    assert db.write(lambda tx: tx.scalar("PRAGMA foreign_keys")).result() == 1
    db.close()
    (copy,) = (folder / "backups").iterdir()
    assert copy.name.startswith("before-0005-")
    assert mode(copy) == 0o600
    old = sqlite3.connect(copy)
    assert old.execute("PRAGMA user_version").fetchone() == (4,)
    assert old.execute("SELECT title FROM project").fetchall() == [("Sea",)]
    old.close()


def test_an_empty_workspace_migrates_without_a_backup(folder: Path, tmp_path: Path) -> None:
    Database(folder).close()
    Database(folder, more_migrations=more(tmp_path, _0005_colour=COLOUR)).close()
    assert not (folder / "backups").exists()


def test_the_newest_five_backups_are_kept_and_nothing_else_is_touched(
    folder: Path, tmp_path: Path
) -> None:
    with_a_project(folder)
    (folder / "backups").mkdir()
    (folder / "backups" / "my own.sqlite3").touch()
    for number in range(5, 12):
        folders = more(tmp_path, **{f"_{number:04}_n": f"CREATE TABLE t{number} (x);"})
        Database(folder, more_migrations=folders).close()
    names = sorted(path.name[:11] for path in (folder / "backups").iterdir())
    assert names == [*(f"before-{number:04}" for number in range(7, 12)), "my own.sqli"]


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE fine (x); CREATE TABLE broken (",
        "CREATE TABLE fine (x); INSERT INTO no_such_table VALUES (1);",
        "CREATE TABLE fine (x); COMMIT; CREATE TABLE worse (x);",
        """CREATE TABLE fine (x); INSERT INTO topic (id, project_id, title, owner, created_at,
        updated_at) VALUES ('t', 'no such project', '', 'ana', 1, 1);""",
    ],
)
def test_a_migration_that_fails_changes_nothing(folder: Path, tmp_path: Path, script: str) -> None:
    with_a_project(folder)
    with pytest.raises((ValueError, sqlite3.Error)):
        Database(folder, more_migrations=more(tmp_path, _0005_bad=script))
    db = Database(folder)
    if "COMMIT" not in script:
        assert db.sql("SELECT count(*) FROM sqlite_schema WHERE name = 'fine'")[1] == [(0,)]
    assert db.sql("PRAGMA user_version")[1] == [(4,)]
    assert db.sql("SELECT title FROM project")[1] == [("Sea",)]
    db.close()


def test_tables_can_be_rebuilt_under_references(folder: Path, tmp_path: Path) -> None:
    with_a_project(folder)
    db = Database(folder)
    db.write(
        lambda tx: tx.execute(
            "INSERT INTO topic (id, project_id, title, owner, created_at, updated_at)"
            " VALUES ('t', 'p', 'Waves', 'ana', 1, 1)"
        )
    ).result()
    db.close()
    script = (
        "CREATE TABLE project_2 AS SELECT * FROM project; DROP TABLE project;"
        "ALTER TABLE project_2 RENAME TO project; CREATE UNIQUE INDEX project_id ON project (id);"
    )
    db = Database(folder, more_migrations=more(tmp_path, _0005_rebuild=script))
    assert db.sql("SELECT title FROM topic")[1] == [("Waves",)]
    assert db.integrity_check() == []
    db.close()


def test_a_newer_schema_is_refused_and_left_unchanged(folder: Path, tmp_path: Path) -> None:
    Database(folder, more_migrations=more(tmp_path, _0005_colour=COLOUR)).close()
    before = (folder / connect.DATABASE).read_bytes()
    with pytest.raises(SchemaTooNew, match="Upgrade image-workbench"):
        Database(folder)
    assert (folder / connect.DATABASE).read_bytes() == before
    Database(folder, more_migrations=more(tmp_path)).close()


def test_gaps_and_doubles_in_migration_numbers_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1, 2, 3"):
        migrate.find([migrate.shipped(), *more(tmp_path, _0006_late="SELECT 1;")])
    with pytest.raises(ValueError, match="two migrations"):
        migrate.find([migrate.shipped(), *more(tmp_path, _0001_again="SELECT 1;")])


def test_migrations_and_queries_are_found_inside_a_zipped_package(tmp_path: Path) -> None:
    wheel = tmp_path / "package.zip"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in (REPOSITORY / "workbench").rglob("*"):
            if file.suffix in {".py", ".sql"}:
                archive.write(file, file.relative_to(REPOSITORY))
    script = (
        "import sys, pathlib\nsys.path.insert(0, sys.argv[1])\n"
        "from workbench.store.sqlite.database import Database\n"
        "import workbench.store.sqlite.migrate as m\nassert '.zip' in m.__file__, m.__file__\n"
        "db = Database(pathlib.Path(sys.argv[2]))\n"
        "print(db.sql('PRAGMA user_version')[1][0][0] >= 2)\ndb.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(wheel), str(tmp_path / "w")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "True", done.stderr


def test_named_queries_are_split_and_missing_ones_named() -> None:
    found = queries.parse("-- head\n-- name: a  what for\nSELECT 1;\n\n-- name: b\nSELECT\n2;\n")
    assert found == {"a": "SELECT 1;", "b": "SELECT\n2;"}
    with pytest.raises(LookupError, match="two statements named a"):
        queries.parse("-- name: a\n1\n-- name: a\n2", "x")
    with pytest.raises(LookupError, match="no file"):
        queries.sql("no_such_file.a")
