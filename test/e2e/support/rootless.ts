import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { busyboxRootfs } from './base-images.ts'
import { createOrdinaryUser, type OrdinaryUser } from './ordinary-user.ts'
import { type Slipway, slipwayAt } from './slipway.ts'

/** Root and ordinary users, each with a store of his own that holds the image `base:1`. */
export interface RootlessWorld extends AsyncDisposable {
  /** A folder that all may enter. */
  readonly scratch: string
  readonly root: Slipway
  addUser(options: { readonly subordinateIDs: boolean }): Promise<OrdinaryUser>
}

export async function createRootlessWorld(): Promise<RootlessWorld> {
  const scratch = await mkdtemp(join(tmpdir(), 'slipway-rootless-'))
  await chmod(scratch, 0o755)
  const root = slipwayAt(join(scratch, 'store'))
  const image = join(scratch, 'image.tar')
  await busyboxRootfs(join(scratch, 'base.tar'))
  await root.run(['import', join(scratch, 'base.tar'), 'base:1'])
  await root.run(['save', '-o', image, 'base:1'])
  await chmod(image, 0o644)
  const users: OrdinaryUser[] = []
  return {
    scratch,
    root,
    async addUser(options) {
      const user = await createOrdinaryUser(scratch, options)
      users.push(user)
      const loaded = await user.slipway(['load', '-i', image])
      assert.equal(loaded.code, 0, loaded.stderr)
      return user
    },
    async [Symbol.asyncDispose]() {
      // What steps wrote belongs to others: root alone could remove it in a user's place.
      for (const user of users) await user[Symbol.asyncDispose]()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
