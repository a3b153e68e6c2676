import assert from 'node:assert/strict'
import { chmodSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { executed, openWorkshop, type Workshop } from './building.ts'

const DOCKERFILE = `FROM scratch AS made
RUN make
FROM made AS tested
RUN test
FROM scratch
COPY --from=made /made /
COPY --from=tested /tested /
`

describe('equal results', () => {
  it('semantics 100: a step that ran again and made the same but for times leaves all that follows cached', async () => {
    using workshop = await example()
    const first = await workshop.build(DOCKERFILE)
    workshop.events.length = 0
    const again = await workshop.build(DOCKERFILE, { noCacheStages: ['made'] })
    assert.deepEqual(executed(workshop.events), ['RUN make'])
    assert.equal(again.digest, first.digest)
  })

  it('keep their layer also under a new key', async () => {
    using workshop = await example()
    const text = `ARG V=1\n${DOCKERFILE.replace('RUN make', 'ARG V\nRUN make')}`
    const options = (version: string) => ({ target: 'made', buildArgs: new Map([['V', version]]) })
    const layers = async (version: string) =>
      (await workshop.manifest(await workshop.build(text, options(version)))).layers
    assert.deepEqual(await layers('2'), await layers('1'))
    assert.equal(workshop.processes.length, 2)
    await layers('2')
    assert.equal(workshop.processes.length, 2)
  })

  for (const [what, change] of Object.entries({
    'another content': (path: string) => writeFileSync(path, 'other'),
    'another mode': (path: string) => chmodSync(path, 0o600),
    'another file': (path: string) => writeFileSync(`${path}2`, ''),
  })) {
    it(`are not those with ${what}`, async () => {
      using workshop = await example()
      await workshop.build(DOCKERFILE)
      workshop.events.length = 0
      const play = workshop.play
      workshop.play = async (process, root) => {
        const code = await play(process, root)
        if (process.args.at(-1) === 'make') change(join(root, 'made'))
        return code
      }
      await workshop.build(DOCKERFILE, { noCacheStages: ['made'] })
      assert.ok(executed(workshop.events).includes('RUN test'))
    })
  }

  it('are not looked for with --no-cache, and are those of that build later', async () => {
    using workshop = await example()
    const text = 'FROM scratch\nRUN make'
    const first = await workshop.build(text)
    const fresh = await workshop.build(text, { noCache: true })
    assert.notEqual(fresh.digest, first.digest)
    assert.equal((await workshop.build(text, { noCacheStages: ['0'] })).digest, fresh.digest)
    assert.equal(workshop.processes.length, 3)
  })
})

/** RUN writes a file named for what it runs, each time with another time. */
async function example(): Promise<Workshop> {
  const workshop = await openWorkshop()
  let time = 1000
  workshop.play = ({ args }, root) => {
    const path = join(root, args.at(-1) === 'make' ? 'made' : 'tested')
    writeFileSync(path, 'same')
    time += 1000
    utimesSync(path, time, time)
    return 0
  }
  return workshop
}
