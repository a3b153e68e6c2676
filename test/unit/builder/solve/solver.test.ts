import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BuildError } from '../../../../src/builder/errors.ts'
import type { OnFailure } from '../../../../src/builder/solve/failure.ts'
import type { ProgressEvent } from '../../../../src/builder/solve/progress.ts'
import { type SolveDeps, solve } from '../../../../src/builder/solve/solver.ts'
import type { LayerOp, OpContext, Result, Scene, Vertex } from '../../../../src/builder/solve/vertex.ts'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { OciError } from '../../../../src/oci/errors.ts'
import { extendChain } from '../../../../src/oci/identity.ts'
import type { CacheRecord, LayerRecord } from '../../../../src/store/metadata.ts'

const never = new AbortController().signal

describe('solve()', () => {
  it('runs inputs first and stacks their layers', async () => {
    const { deps } = fixture()
    const a = layer('a', [base])
    const b = layer('b', [a])
    const solutions = await solve([b], deps, never)
    const diffA = record('a').diffID
    assert.deepEqual(solutions.get(b.digest)?.result, {
      chainID: extendChain(diffA, record('b').diffID),
      layers: ['a', 'b'].map(name => {
        const { uncompressedSize: _, ...rest } = record(name)
        return rest
      }),
    })
  })

  it('tells a step whether what is built has its layer, or other steps only read it', async () => {
    const { deps } = fixture()
    const passing = new Map<string, boolean | undefined>()
    const noting = (name: string, inputs: readonly Vertex[]) =>
      layer(name, inputs, { onExec: (_, { isPassing }) => void passing.set(name, isPassing) })
    const read = noting('read', [noting('under read', [base])])
    const both = noting('both', [base])
    await solve([noting('top', [noting('below', [base]), read, both]), noting('other', [both])], deps, never)
    assert.deepEqual(Object.fromEntries([...passing].sort()), {
      below: false,
      both: false,
      other: false,
      read: true,
      top: false,
      'under read': true,
    })
  })

  it('runs a vertex that several need once', async () => {
    const { deps } = fixture()
    const runs: string[] = []
    const shared = () => layer('shared', [base], { onExec: () => void runs.push('shared') })
    await solve([layer('x', [shared()]), layer('y', [shared()])], deps, never)
    assert.deepEqual(runs, ['shared'])
  })

  it('runs independent branches at the same time', async () => {
    const { deps } = fixture()
    const met = Promise.withResolvers<void>()
    let waiting = 0
    const meet = async () => {
      if (++waiting === 2) met.resolve()
      await met.promise
    }
    await solve([layer('x', [base], { onExec: meet }), layer('y', [base], { onExec: meet })], deps, never)
    assert.equal(waiting, 2)
  })

  it('executes no more steps at once than it is told', async () => {
    const { deps } = fixture({ concurrency: 2 })
    let running = 0
    let most = 0
    const onExec = async () => {
      most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      running--
    }
    await solve(
      Array.from({ length: 8 }, (_, index) => layer(`${index}`, [base], { onExec })),
      deps,
      never,
    )
    assert.equal(most, 2)
  })

  it('takes a step from the cache with the time at which it was made', async () => {
    const { deps, records, events } = fixture()
    const first = await solve([layer('a', [base])], deps, never)
    assert.equal(records.size, 1)
    events.length = 0
    const again = layer('a', [base], { onExec: () => assert.fail('it must not run') })
    const second = await solve([again], { ...deps, now: () => 9999 }, never)
    assert.deepEqual(second, first)
    assert.deepEqual(kindsOf(events, again), ['cached'])
  })

  it('runs a cached step again when its blob is gone', async () => {
    const { deps, stored } = fixture()
    await solve([layer('a', [base])], deps, never)
    stored.delete(record('a').digest)
    const runs: string[] = []
    await solve([layer('a', [base], { onExec: () => void runs.push('a') })], deps, never)
    assert.deepEqual(runs, ['a'])
  })

  it('ignores the cache for a vertex that says so, but keeps what it made', async () => {
    const { deps, records } = fixture()
    let runs = 0
    const vertex = () => ({ ...layer('a', [base], { onExec: () => void runs++ }), ignoreCache: true })
    await solve([vertex()], deps, never)
    await solve([vertex()], deps, never)
    assert.equal(runs, 2)
    assert.equal(records.size, 1)
  })

  it('keys a step by the results of its inputs: a rebuilt input with the same outcome disturbs nothing', async () => {
    const { deps } = fixture()
    await solve([layer('top', [layer('low', [base])])], deps, never)
    const rebuilt = { ...layer('low', [base], { layer: 'low' }), digest: digestOf('another definition') }
    const top = layer('top', [rebuilt], { onExec: () => assert.fail('it must not run') })
    await solve([{ ...top, digest: digestOf('another top') }], deps, never)
  })

  it('throws the first failure with its place, and cancels what else runs', async () => {
    const { deps, events } = fixture()
    const source = { name: 'Dockerfile', text: 'FROM x\nRUN false' }
    const span = { source, startLine: 2, endLine: 2 }
    const started = Promise.withResolvers<void>()
    const slow = layer('slow', [base], {
      onExec: signal =>
        new Promise((_resolve, reject) => {
          started.resolve()
          signal.addEventListener('abort', () => reject(signal.reason))
        }),
    })
    const bad = layer('bad', [base], {
      onExec: async () => {
        await started.promise
        throw new BuildError('run-failed', 'Cannot run: exit code 1', { exitCode: 1 })
      },
    })
    const above = layer('above', [{ ...bad, span }])
    await assert.rejects(solve([slow, above], deps, never), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      assert.equal(error.code, 'run-failed')
      assert.equal(error.exitCode, 1)
      assert.equal(error.span, span)
      return true
    })
    assert.deepEqual(kindsOf(events, slow), ['started', 'canceled'])
    assert.deepEqual(kindsOf(events, bad), ['started', 'failed'])
    assert.deepEqual(kindsOf(events, above), [])
  })

  it('gives the errors of other areas the place of the step, and keeps their code', async () => {
    const { deps } = fixture()
    const span = { source: { name: 'Dockerfile', text: 'RUN x' }, startLine: 1, endLine: 1 }
    const cause = new OciError('tar-invalid', 'Cannot read tar', { hint: 'fetch it again' })
    const bad = layer('bad', [base], { onExec: () => Promise.reject(cause) })
    await assert.rejects(solve([{ ...bad, span }], deps, never), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      const { code, message, hint } = error
      assert.deepEqual([code, message, hint], ['tar-invalid', 'Cannot read tar', 'fetch it again'])
      assert.equal(error.span, span)
      assert.equal(error.cause, cause)
      return true
    })
  })

  it('leaves a bug as it is', async () => {
    const { deps } = fixture()
    const bug = new TypeError('undefined is not a function')
    const span = { source: { name: 'Dockerfile', text: 'RUN x' }, startLine: 1, endLine: 1 }
    const bad = layer('bad', [base], { onExec: () => Promise.reject(bug) })
    await assert.rejects(solve([{ ...bad, span }], deps, never), error => error === bug)
  })

  it('keeps no record of a failed step', async () => {
    const { deps, records } = fixture()
    const bad = layer('bad', [base], { onExec: () => Promise.reject(new BuildError('run-failed', 'no')) })
    await assert.rejects(solve([bad], deps, never), { code: 'run-failed' })
    assert.equal(records.size, 0)
  })

  it('throws the reason of its signal, after the steps have ended', async () => {
    const { deps } = fixture()
    const controller = new AbortController()
    let ended = false
    const slow = layer('slow', [base], {
      onExec: async signal => {
        controller.abort(new Error('interrupted'))
        await new Promise(resolve => setImmediate(resolve))
        ended = true
        signal.throwIfAborted()
      },
    })
    await assert.rejects(solve([slow, layer('next', [slow])], deps, controller.signal), {
      message: 'interrupted',
    })
    assert.ok(ended)
  })

  describe('with somebody who looks at failures', () => {
    const shell = {
      program: '/bin/sh',
      env: [],
      cwd: '/',
      hostname: 'h',
      network: 'none',
      extraHosts: [],
    } as const

    /** A scene that notes what happens to it. */
    function scene(name: string, notes: string[]): Scene {
      return {
        enter: async (_shell, env) => void notes.push(`${name} entered with ${env}`),
        [Symbol.asyncDispose]: async () => void notes.push(`${name} gone`),
      }
    }

    it('shows what the failed step left, once the others are told to end, and then takes it away', async () => {
      const { deps } = fixture()
      const notes: string[] = []
      const slow = layer('slow', [base], {
        onExec: signal =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      })
      const bad = layer('bad', [base])
      const op: LayerOp = {
        kind: 'layer',
        cacheKey: async () => undefined,
        async exec(_inputs, { keep }) {
          keep?.(scene('left', notes))
          throw new BuildError('run-failed', 'no', { exitCode: 3 })
        },
        openScene: () => assert.fail('the step has left its own'),
      }
      const onFailure: OnFailure = async ({ name, error, enter }) => {
        notes.push(`${name} ${error instanceof BuildError && error.exitCode}`)
        await enter(['A=b'], never)
      }
      await assert.rejects(solve([slow, { ...bad, op, shell }], { ...deps, onFailure }, never), {
        code: 'run-failed',
      })
      assert.deepEqual(notes, ['[1/1] RUN bad 3', 'left entered with A=b', 'left gone'])
    })

    it('opens what was there before a step that left nothing', async () => {
      const { deps } = fixture()
      const notes: string[] = []
      const bad = layer('bad', [base], {
        onExec: () => Promise.reject(new BuildError('source-missing', 'no')),
      })
      const op = { ...(bad.op as LayerOp), openScene: async () => scene('before', notes) }
      const onFailure: OnFailure = ({ enter }) => enter([], never)
      await assert.rejects(solve([{ ...bad, op, shell }], { ...deps, onFailure }, never), {
        code: 'source-missing',
      })
      assert.deepEqual(notes, ['before entered with ', 'before gone'])
    })

    it('shows nothing of a build that was interrupted, and nobody keeps what nobody looks at', async () => {
      const { deps } = fixture()
      const controller = new AbortController()
      const stopped = layer('stopped', [base], {
        onExec: signal => {
          controller.abort(new Error('interrupted'))
          signal.throwIfAborted()
        },
      })
      const onFailure: OnFailure = () => assert.fail('there is no failure')
      await assert.rejects(solve([{ ...stopped, shell }], { ...deps, onFailure }, controller.signal), {
        message: 'interrupted',
      })
      const op: LayerOp = {
        kind: 'layer',
        cacheKey: async () => undefined,
        async exec(_inputs, context) {
          assert.equal(context.keep, undefined)
          return record('a')
        },
      }
      await solve([{ ...layer('a', [base]), op, shell }], deps, never)
    })
  })

  it('solves a chain of 20,000 steps', async () => {
    const { deps } = fixture()
    let top = base
    for (let index = 0; index < 20_000; index++) {
      const input = top
      top = {
        digest: digestOf(`step ${index}`),
        name: 'FROM x',
        op: { kind: 'base', exec: async () => EMPTY },
        inputs: [input],
      }
    }
    const solutions = await solve([top], deps, never)
    assert.equal(solutions.size, 20_001)
  })

  it('tells what a step prints between its start and its end', async () => {
    const { deps, events } = fixture()
    const vertex = layer('a', [base])
    const op: LayerOp = {
      kind: 'layer',
      cacheKey: async () => undefined,
      exec: async (_inputs, context) => {
        context.output('stdout', Buffer.from('hello'))
        return record('a')
      },
    }
    await solve([{ ...vertex, op }], deps, never)
    assert.deepEqual(kindsOf(events, vertex), ['started', 'output', 'done'])
  })
})

const EMPTY: Result = { chainID: undefined, layers: [] }

const base: Vertex = {
  digest: digestOf('base'),
  name: 'FROM scratch',
  op: { kind: 'base', exec: async () => EMPTY },
  inputs: [],
}

interface LayerOptions {
  readonly onExec?: (signal: AbortSignal, context: OpContext) => void | Promise<void>
  /** Name of the layer that comes out. */
  readonly layer?: string
}

function layer(name: string, inputs: readonly Vertex[], options: LayerOptions = {}): Vertex {
  return {
    digest: digestOf(JSON.stringify([name, inputs.map(input => input.digest)])),
    name: `[1/1] RUN ${name}`,
    inputs,
    op: {
      kind: 'layer',
      cacheKey: async results => ({
        digest: digestOf(JSON.stringify([name, results.map(result => result.chainID)])),
        parts: [['name', name]],
      }),
      async exec(_inputs, context) {
        await options.onExec?.(context.signal, context)
        return record(options.layer ?? name)
      },
    },
  }
}

function record(name: string): LayerRecord {
  return {
    digest: digestOf(`blob ${name}`),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    size: 10,
    diffID: digestOf(`tar ${name}`),
    uncompressedSize: 20,
  }
}

/** A store in memory in which every layer that comes out is stored. */
function fixture(options: { readonly concurrency?: number } = {}) {
  const records = new Map<Digest, CacheRecord>()
  const stored = new Set<Digest>()
  const events: ProgressEvent[] = []
  let clock = 1000
  const deps: SolveDeps = {
    cache: {
      getCacheRecord: key => records.get(key),
      putCacheRecord: entry => {
        records.set(entry.key, { ...entry, usedAt: 0 })
        stored.add(entry.layer.digest)
      },
    },
    content: { stat: async digest => (stored.has(digest) ? { digest, size: 10 } : undefined) },
    progress: event => void events.push(event),
    now: () => clock++,
    monotonicNow: () => 0,
    concurrency: options.concurrency ?? 4,
  }
  return { deps, records, stored, events }
}

function kindsOf(events: readonly ProgressEvent[], vertex: Vertex): readonly string[] {
  return events
    .filter(event => event.kind !== 'warning' && event.vertex === vertex.digest)
    .map(({ kind }) => kind)
}
