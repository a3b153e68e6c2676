/**
 * Messages to the outside that wait for their turn: a queue for each receiver, in the database, so that neither the
 * end of a process nor that of the machine loses one. A receiver's messages go out one after the other, by one
 * process at a time: who delivers holds the queue's lease, and a lease ends by itself when its process dies.
 */
import type { Database, Durability } from './database.ts'

export const WEBHOOK_MIGRATION = `
  CREATE TABLE webhook_queues (
    url TEXT PRIMARY KEY,
    owner TEXT,
    leased_until INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    retry_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE webhook_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, body TEXT NOT NULL, queued_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX webhook_messages_by_url ON webhook_messages(url, id);
  `

export interface QueuedMessage {
  readonly id: number
  readonly body: string
  /** Milliseconds since the epoch. */
  readonly queuedAt: number
  /** How often this receiver has failed since it last succeeded. */
  readonly failures: number
}

export interface WebhookQueues {
  /** Tells how many older messages made room for it. */
  add(url: string, body: string, durability: Durability): number
  /** The oldest message that is due, with the queue leased to this owner; undefined when there is none for it to send. */
  take(url: string): QueuedMessage | undefined
  /** It was delivered, or given up. The lease stays. */
  remove(url: string, id: number): void
  /** It failed: nobody tries before the time. The lease ends. */
  retryAt(url: string, time: number): void
  /** Ends the lease. */
  release(url: string): void
  /** How many messages wait. */
  count(): number
  /** Removes messages from before the time, whose receivers may no longer be configured. */
  removeOlder(time: number): number
}

export interface WebhookQueuesDeps {
  readonly database: Database
  readonly now: () => number
  /** Of this process, and no other. */
  readonly owner: string
  /** Longer than a delivery takes. */
  readonly leaseMs: number
  /** How many messages wait for one receiver; more push out the oldest. */
  readonly maxWaiting: number
}

export function createWebhookQueues(deps: WebhookQueuesDeps): WebhookQueues {
  const { database, now, owner, leaseMs, maxWaiting } = deps
  return {
    add: (url, body, durability) =>
      database.write(() => {
        database.run(
          `INSERT INTO webhook_queues (url, leased_until, failures, retry_at) VALUES (?, 0, 0, 0)
           ON CONFLICT (url) DO NOTHING`,
          url,
        )
        database.run('INSERT INTO webhook_messages (url, body, queued_at) VALUES (?, ?, ?)', url, body, now())
        return database.run(
          `DELETE FROM webhook_messages WHERE url = ?1 AND id <=
             (SELECT id FROM webhook_messages WHERE url = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
          url,
          maxWaiting,
        )
      }, durability),

    take(url) {
      // Read first: an empty queue is asked often, and to write takes turns with everybody.
      if (database.one(DUE, url, now(), owner) === undefined) return undefined
      return database.write(() => {
        const message = database.one<QueuedMessage>(DUE, url, now(), owner)
        if (message !== undefined)
          database.run(
            'UPDATE webhook_queues SET owner = ?, leased_until = ? WHERE url = ?',
            owner,
            now() + leaseMs,
            url,
          )
        return message
      }, 'relaxed')
    },

    remove(url, id) {
      database.write(() => {
        database.run('DELETE FROM webhook_messages WHERE id = ?', id)
        database.run(
          'UPDATE webhook_queues SET failures = 0, retry_at = 0 WHERE url = ? AND failures > 0',
          url,
        )
      }, 'relaxed')
    },

    retryAt(url, time) {
      database.write(
        () =>
          database.run(
            `UPDATE webhook_queues SET failures = failures + 1, retry_at = ?, owner = NULL, leased_until = 0
             WHERE url = ?`,
            time,
            url,
          ),
        'relaxed',
      )
    },

    release(url) {
      const isOurs = database.one('SELECT 1 FROM webhook_queues WHERE url = ? AND owner = ?', url, owner)
      if (isOurs === undefined) return
      database.write(
        () =>
          database.run(
            'UPDATE webhook_queues SET owner = NULL, leased_until = 0 WHERE url = ? AND owner = ?',
            url,
            owner,
          ),
        'relaxed',
      )
    },

    count: () =>
      database.one<{ count: number }>('SELECT count(*) AS count FROM webhook_messages')?.count ?? 0,

    removeOlder: time =>
      database.write(() => database.run('DELETE FROM webhook_messages WHERE queued_at < ?', time), 'relaxed'),
  }
}

const DUE = `
  SELECT m.id, m.body, m.queued_at AS queuedAt, q.failures
  FROM webhook_queues q JOIN webhook_messages m ON m.url = q.url
  WHERE q.url = ?1 AND q.retry_at <= ?2 AND (q.owner = ?3 OR q.leased_until < ?2)
  ORDER BY m.id LIMIT 1`
