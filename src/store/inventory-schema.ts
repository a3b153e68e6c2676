/**
 * What the database keeps to answer "how large, how old, used when" without looking at content: kept up by triggers,
 * so that it is right whoever writes (pushes, builds, garbage collection, older code), and in the same transaction.
 *
 * A repository holds a digest when a link or a manifest of it names it; `repositories.bytes` counts each digest once,
 * and so does `quota_usage.bytes` for all repositories below a prefix, with `quota_content` to know the first and the
 * last of them. `totals` has one row, about all content.
 *
 * `manifests.bytes` is null until somebody has read the manifest and its config (`describe.ts`).
 */

const HELD_BELOW = `SELECT q.prefix FROM quota_usage q JOIN repositories r
  WHERE r.id = $REPOSITORY AND (q.prefix IN ('*', r.name) OR substr(r.name, 1, length(q.prefix) + 1) = q.prefix || '/')`

/** @param table that names a digest in a repository  @param other the one that may name it as well */
function holdTriggers(table: 'links' | 'manifests', other: 'links' | 'manifests'): string {
  const heldByOther = (row: 'NEW' | 'OLD'): string =>
    `EXISTS (SELECT 1 FROM ${other} WHERE repository = ${row}.repository AND digest = ${row}.digest)`
  return `
  CREATE TRIGGER ${table}_held AFTER INSERT ON ${table} WHEN NOT ${heldByOther('NEW')}
  BEGIN
    UPDATE repositories SET bytes = bytes + (SELECT size FROM blobs WHERE digest = NEW.digest)
      WHERE id = NEW.repository;
    INSERT INTO quota_content (prefix, digest, repositories)
      SELECT prefix, NEW.digest, 1 FROM (${HELD_BELOW.replace('$REPOSITORY', 'NEW.repository')}) WHERE true
      ON CONFLICT (prefix, digest) DO UPDATE SET repositories = repositories + 1;
  END;

  CREATE TRIGGER ${table}_let_go AFTER DELETE ON ${table} WHEN NOT ${heldByOther('OLD')}
  BEGIN
    UPDATE repositories SET bytes = bytes - (SELECT size FROM blobs WHERE digest = OLD.digest)
      WHERE id = OLD.repository;
    UPDATE quota_content SET repositories = repositories - 1
      WHERE digest = OLD.digest AND prefix IN (${HELD_BELOW.replace('$REPOSITORY', 'OLD.repository')});
    DELETE FROM quota_content
      WHERE digest = OLD.digest AND repositories = 0 AND prefix IN (SELECT prefix FROM quota_usage);
  END;
  `
}

export const INVENTORY_MIGRATION = `
  ALTER TABLE repositories ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE repositories ADD COLUMN tag_count INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE repositories ADD COLUMN pushed_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE repositories ADD COLUMN pulled_at INTEGER NOT NULL DEFAULT 0;

  ALTER TABLE manifests ADD COLUMN pushed_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE manifests ADD COLUMN pulled_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE manifests ADD COLUMN bytes INTEGER;
  ALTER TABLE manifests ADD COLUMN image_created_at INTEGER;
  ALTER TABLE manifests ADD COLUMN platforms TEXT;
  ALTER TABLE manifests ADD COLUMN labels TEXT;

  CREATE TABLE totals (id INTEGER PRIMARY KEY, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  INSERT INTO totals SELECT 1, count(*), coalesce(sum(size), 0) FROM blobs;

  CREATE TABLE quota_usage (prefix TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE quota_content (
    prefix TEXT NOT NULL REFERENCES quota_usage(prefix),
    digest TEXT NOT NULL,
    repositories INTEGER NOT NULL,
    PRIMARY KEY (prefix, digest)
  ) STRICT, WITHOUT ROWID;

  UPDATE manifests SET pushed_at = coalesce((SELECT max(updated_at) FROM tags WHERE manifest = manifests.id), touched_at);
  -- Who pulled was not noted before: what was asked for after its push may have been pulled.
  UPDATE manifests SET pulled_at = touched_at WHERE touched_at > pushed_at;
  UPDATE repositories SET
    tag_count = (SELECT count(*) FROM tags WHERE repository = repositories.id),
    pushed_at = coalesce((SELECT max(pushed_at) FROM manifests WHERE repository = repositories.id), 0),
    pulled_at = coalesce((SELECT max(pulled_at) FROM manifests WHERE repository = repositories.id), 0),
    bytes = (SELECT coalesce(sum(size), 0) FROM blobs WHERE digest IN (
      SELECT digest FROM links WHERE repository = repositories.id
      UNION SELECT digest FROM manifests WHERE repository = repositories.id));

  CREATE INDEX repositories_by_push ON repositories(pushed_at, name);
  CREATE INDEX repositories_by_pull ON repositories(pulled_at, name);
  CREATE INDEX repositories_by_size ON repositories(bytes, name);
  CREATE INDEX tags_by_push ON tags(repository, updated_at, tag);
  CREATE INDEX manifests_undescribed ON manifests(id) WHERE bytes IS NULL;

  CREATE TRIGGER blobs_added AFTER INSERT ON blobs
  BEGIN
    UPDATE totals SET blobs = blobs + 1, bytes = bytes + NEW.size;
  END;

  -- Before, so that what holds the blob can still see its size.
  CREATE TRIGGER blobs_removed BEFORE DELETE ON blobs
  BEGIN
    DELETE FROM links WHERE digest = OLD.digest;
    DELETE FROM manifests WHERE digest = OLD.digest;
    UPDATE totals SET blobs = blobs - 1, bytes = bytes - OLD.size;
  END;
  ${holdTriggers('links', 'manifests')}
  ${holdTriggers('manifests', 'links')}
  CREATE TRIGGER quota_content_added AFTER INSERT ON quota_content
  BEGIN
    UPDATE quota_usage SET bytes = bytes + (SELECT size FROM blobs WHERE digest = NEW.digest)
      WHERE prefix = NEW.prefix;
  END;

  CREATE TRIGGER quota_content_removed AFTER DELETE ON quota_content
  BEGIN
    UPDATE quota_usage SET bytes = bytes - (SELECT size FROM blobs WHERE digest = OLD.digest)
      WHERE prefix = OLD.prefix;
  END;

  CREATE TRIGGER manifests_pushed AFTER INSERT ON manifests
  BEGIN
    UPDATE manifests SET pushed_at = NEW.touched_at WHERE id = NEW.id;
    UPDATE repositories SET pushed_at = max(pushed_at, NEW.touched_at) WHERE id = NEW.repository;
    -- An index that was there before its child knows less than it now can.
    UPDATE manifests SET bytes = NULL WHERE repository = NEW.repository
      AND id IN (SELECT manifest FROM manifest_references WHERE digest = NEW.digest);
  END;

  CREATE TRIGGER tags_added AFTER INSERT ON tags
  BEGIN
    UPDATE repositories SET tag_count = tag_count + 1, pushed_at = max(pushed_at, NEW.updated_at)
      WHERE id = NEW.repository;
  END;

  CREATE TRIGGER tags_moved AFTER UPDATE OF updated_at ON tags
  BEGIN
    UPDATE repositories SET pushed_at = max(pushed_at, NEW.updated_at) WHERE id = NEW.repository;
  END;

  CREATE TRIGGER tags_removed AFTER DELETE ON tags
  BEGIN
    UPDATE repositories SET tag_count = tag_count - 1 WHERE id = OLD.repository;
  END;
`
