/** What several registry processes over one store must agree on about access: keys, and the tokens of robots. */
import type { Database } from './database.ts'
import { writeIfPossible } from './touch.ts'

export interface RobotRecord {
  readonly name: string
  /** Public part of its token, by which it is found. */
  readonly id: string
  /** SHA-256 of the secret part. */
  readonly secretHash: Uint8Array
  /** `push:team/**` and the like. */
  readonly allow: readonly string[]
  /** Milliseconds since the epoch, as are the others. */
  readonly createdAt: number
  /** Undefined: never. */
  readonly expiresAt?: number
  readonly usedAt?: number
}

export interface AccessRecords {
  /** The secret under this name, made by the first process that asks. */
  key(name: string, make: () => Uint8Array): Uint8Array
  /** False when there is one of this name. */
  addRobot(robot: RobotRecord): boolean
  findRobot(by: { readonly id: string } | { readonly name: string }): RobotRecord | undefined
  /** Sorted by name. */
  listRobots(): readonly RobotRecord[]
  /** False when there is none of this name. */
  removeRobot(name: string): boolean
  /** Notes the use, as well as it can. */
  touchRobot(id: string, now: number): void
}

interface RobotRow {
  readonly name: string
  readonly id: string
  readonly secretHash: Uint8Array
  readonly allow: string
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly usedAt: number | null
}

const SELECT = `SELECT name, id, secret_hash AS secretHash, allow, created_at AS createdAt, expires_at AS expiresAt,
  used_at AS usedAt FROM robots`

export function createAccessRecords(database: Database): AccessRecords {
  return {
    key(name, make) {
      const find = () => database.one<{ value: Uint8Array }>('SELECT value FROM keys WHERE name = ?', name)
      const kept = find()
      if (kept !== undefined) return kept.value
      return database.write(() => {
        database.run('INSERT INTO keys (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING', name, make())
        return find()?.value ?? make()
      })
    },
    addRobot: robot =>
      database.write(
        () =>
          database.run(
            `INSERT INTO robots (name, id, secret_hash, allow, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING`,
            robot.name,
            robot.id,
            robot.secretHash,
            JSON.stringify(robot.allow),
            robot.createdAt,
            robot.expiresAt ?? null,
          ) > 0,
      ),
    findRobot(by) {
      const row =
        'id' in by
          ? database.one<RobotRow>(`${SELECT} WHERE id = ?`, by.id)
          : database.one<RobotRow>(`${SELECT} WHERE name = ?`, by.name)
      return row === undefined ? undefined : robotOf(row)
    },
    listRobots: () => database.all<RobotRow>(`${SELECT} ORDER BY name`).map(robotOf),
    removeRobot: name => database.write(() => database.run('DELETE FROM robots WHERE name = ?', name) > 0),
    touchRobot(id, now) {
      writeIfPossible(database, () => database.run('UPDATE robots SET used_at = ? WHERE id = ?', now, id))
    },
  }
}

function robotOf({ allow, expiresAt, usedAt, ...row }: RobotRow): RobotRecord {
  return {
    ...row,
    allow: JSON.parse(allow) as string[],
    ...(expiresAt !== null && { expiresAt }),
    ...(usedAt !== null && { usedAt }),
  }
}
