import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Served } from '../../test/e2e/support/slipway.ts'
import type { Bench, Peer } from '../bench.ts'
import { makeFiles } from '../seeded-data.ts'
import { BASE } from './builders.ts'

/** An image of about 300 MB in three layers over a small base, in registries. */
export interface LargeImage {
  readonly megabytes: number
  /** Ours. */
  readonly served: Served
  readonly registries: readonly RegistryWithImage[]
}

/** Where it can be pulled: from ours, and if it is there from Debian's `docker-registry`. */
export interface RegistryWithImage {
  readonly name: string
  readonly there: Peer<{ readonly host: string; readonly pid: number }>
}

export const LARGE_IMAGE = 'bench-large'
export const DISTRIBUTION = 'docker-registry'

const LAYERS = ['one', 'two', 'three']

const made = new WeakMap<Bench, Promise<LargeImage>>()

/** Made once for a bench. */
export function largeImageOf(bench: Bench): Promise<LargeImage> {
  const known = made.get(bench) ?? makeLargeImage(bench)
  made.set(bench, known)
  return known
}

async function makeLargeImage(bench: Bench): Promise<LargeImage> {
  const megabytes = bench.scaled(300, 3)
  const context = bench.folder('large-image')
  const files = bench.scaled(3000, 30)
  for (const layer of LAYERS) makeFiles(join(context, layer), files, (megabytes * 1e6) / LAYERS.length, layer)
  const copies = LAYERS.map(layer => `COPY ${layer} /${layer}\n`).join('')
  writeFileSync(join(context, 'Dockerfile'), `FROM ${BASE}\n${copies}`)
  const slipway = bench.slipway('large-image')
  await slipway.run(['import', await bench.busybox(), BASE])
  await slipway.run(['build', '-t', LARGE_IMAGE, context])
  const served = bench.keep(await slipway.serve())
  const ours = { host: served.host, pid: served.process.pid ?? 0 }
  const theirs = await bench.distribution()
  if (theirs.value !== undefined) {
    const name = `${theirs.value.host}/${LARGE_IMAGE}`
    await slipway.run(['tag', LARGE_IMAGE, name])
    await slipway.run(['push', name])
  }
  return {
    megabytes,
    served,
    registries: [
      { name: 'slipway', there: { value: ours } },
      { name: DISTRIBUTION, there: theirs },
    ],
  }
}
