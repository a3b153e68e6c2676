import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { busyboxRootfs } from './base-images.ts'
import { findProgram, run } from './process.ts'
import { type Slipway, slipwayAt } from './slipway.ts'

/**
 * Why the tests of a file cannot run here, for `describe`'s `skip`; false when they can. In CI, where the set-up installs
 * every program, a reason is a failure.
 */
export function cannotRun(needs: {
  readonly root?: boolean
  readonly programs?: readonly string[]
}): string | false {
  const missing = (needs.programs ?? []).filter(name => findProgram(name) === undefined)
  const reasons = [
    ...(needs.root === true && process.getuid?.() !== 0 ? ['it needs root'] : []),
    ...(missing.length > 0 ? [`not installed: ${missing.join(', ')}`] : []),
  ]
  if (reasons.length === 0) return false
  if (process.env.CI === 'true') assert.fail(`cannot run in CI: ${reasons.join('; ')}`)
  return reasons.join('; ')
}

/** A folder of the test's own with a store in it. */
export interface World extends AsyncDisposable {
  readonly scratch: string
  readonly slipway: Slipway
  /** Writes files below the scratch folder and returns the folder's path. */
  folder(name: string, files: Readonly<Record<string, string>>): Promise<string>
}

/** @param options `base`: the store holds the image `base:1` around a static busybox */
export async function createWorld(options: { readonly base?: boolean } = {}): Promise<World> {
  const scratch = await mkdtemp(join(tmpdir(), 'slipway-e2e-'))
  const slipway = slipwayAt(join(scratch, 'store'))
  if (options.base === true) {
    const rootfs = join(scratch, 'base.tar')
    await busyboxRootfs(rootfs)
    await slipway.run(['import', rootfs, 'base:1'])
  }
  return {
    scratch,
    slipway,
    async folder(name, files) {
      const path = join(scratch, name)
      for (const [file, content] of Object.entries(files)) {
        await mkdir(dirname(join(path, file)), { recursive: true })
        await writeFile(join(path, file), content)
      }
      return path
    },
    async [Symbol.asyncDispose]() {
      // podman and buildah leave their storage mounted over itself.
      for (const tool of ['podman', 'buildah']) await run('umount', [join(scratch, tool, 'root/overlay')])
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
