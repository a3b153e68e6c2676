import { createHash } from 'node:crypto'

/** SHA-256 whose work is done by the threads of the pool: `node:crypto` hashes large things on the thread of its caller. */
export interface Sha256 {
  /** For small chunks, at once. */
  update(chunk: Uint8Array): void
  /** One call at a time. The chunk must stay as it is until the promise is settled. */
  updateInPool(chunk: Uint8Array): Promise<void>
  /** Of all so far, 32 bytes; more may follow. Not while an update is under way. */
  digest(): Buffer
}

/** The FFI library refuses calls beyond 256 at once; more threads than the pool's few would not hash any sooner. */
const MOST_IN_POOL = 128

/** OpenSSL's `SHA256_CTX` has 112 bytes. */
const STATE_BYTES = 128

/**
 * Calls the OpenSSL that Node.js itself is made with. Undefined where it cannot be called, or does not compute what
 * `node:crypto` does.
 */
export async function tryLoadSha256(): Promise<(() => Sha256) | undefined> {
  const create = await bindSha256()
  if (create === undefined) return undefined
  const trial = create()
  for (const part of TRIAL) await trial.updateInPool(part)
  const expected = createHash('sha256').update(Buffer.concat(TRIAL)).digest()
  return trial.digest().equals(expected) ? create : undefined
}

const TRIAL = [Buffer.alloc(1000, 'slipway'), Buffer.alloc(1), Buffer.alloc(200, 'abc')]

async function bindSha256(): Promise<(() => Sha256) | undefined> {
  const calls = await load()
  if (calls === undefined) return undefined
  const { init, update, final } = calls
  /** Memory that a thread works on must not be collected. */
  const busy = new Set<object>()
  return () => {
    const state = Buffer.allocUnsafeSlow(STATE_BYTES)
    init(state)
    return {
      update: chunk => void update(state, chunk, chunk.length),
      async updateInPool(chunk) {
        if (busy.size >= MOST_IN_POOL) return void update(state, chunk, chunk.length)
        const job = { state, chunk }
        busy.add(job)
        return new Promise((resolve, reject) =>
          update.async(state, chunk, chunk.length, (error: Error | null) => {
            busy.delete(job)
            if (error === null) resolve()
            else reject(error)
          }),
        )
      },
      digest() {
        const digest = Buffer.alloc(32)
        final(digest, Buffer.from(state))
        return digest
      },
    }
  }
}

async function load() {
  try {
    const { default: koffi } = await import('koffi')
    const program = koffi.load(null)
    return {
      init: program.func('int SHA256_Init(void *state)'),
      update: program.func('int SHA256_Update(void *state, const void *data, size_t length)'),
      final: program.func('int SHA256_Final(void *digest, void *state)'),
    }
  } catch (error) {
    // No FFI library for this machine, or a Node.js that keeps its OpenSSL to itself.
    if (error instanceof Error) return undefined
    throw error
  }
}
