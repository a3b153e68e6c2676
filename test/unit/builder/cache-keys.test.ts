/** Semantics 97-108 and what else they say of keys: what makes a step another step, and what does not. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { BuildOptions } from '../../../src/builder/build-options.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { executed, openWorkshop, type Workshop } from './building.ts'

/** Builds the first, then the second: the steps that the second executed. */
async function second(
  workshop: Workshop,
  [first, again]: readonly [string, string],
  [firstOptions, againOptions]: readonly [Partial<BuildOptions>, Partial<BuildOptions>] = [{}, {}],
): Promise<readonly string[]> {
  await workshop.build(first, firstOptions)
  workshop.events.length = 0
  await workshop.build(again, againOptions)
  return executed(workshop.events)
}

describe('cache keys', () => {
  it('semantics 98: with a wildcard the names of the files count', async () => {
    using workshop = await example()
    const text = 'FROM scratch\nCOPY *.txt /'
    await workshop.build(text)
    renameSync(join(workshop.context, 'a.txt'), join(workshop.context, 'z.txt'))
    workshop.events.length = 0
    await workshop.build(text)
    assert.deepEqual(executed(workshop.events), ['COPY *.txt /'])
    workshop.events.length = 0
    workshop.write('other.md', 'not selected')
    await workshop.build(text)
    assert.deepEqual(executed(workshop.events), [])
  })

  for (const [what, one, other] of [
    ['the destination', 'COPY a.txt /one', 'COPY a.txt /two'],
    ['the name of the source', 'COPY a.txt /dir/', 'COPY same.txt /dir/'],
    ['the owner', 'COPY --chown=1:2 a.txt /', 'COPY --chown=1:3 a.txt /'],
    ['the mode', 'COPY --chmod=600 a.txt /', 'COPY --chmod=601 a.txt /'],
    ['whether it unpacks', 'COPY a.txt /', 'ADD a.txt /'],
  ] as const)
    it(`semantics 99: ${what} is in the key of COPY`, async () => {
      using workshop = await example()
      const steps = await second(workshop, [`FROM scratch\n${one}`, `FROM scratch\n${other}`])
      assert.equal(steps.length, 1)
    })

  it('semantics 99: names of owners count as the IDs that the image gives them', async () => {
    using workshop = await example()
    const text =
      'FROM scratch\nCOPY passwd /etc/passwd\nCOPY --chown=bob a.txt /\nCOPY --link --chown=bob a.txt /l'
    workshop.write('passwd', 'bob:x:5:6::/:/bin/sh\n')
    await workshop.build(text)
    workshop.write('passwd', 'bob:x:5:6::/home:/bin/sh\n')
    const executedAgain = async () => {
      workshop.events.length = 0
      await workshop.build(text)
      return executed(workshop.events)
    }
    const named = 'COPY --chown=bob a.txt /'
    assert.deepEqual(await executedAgain(), ['COPY passwd /etc/passwd', named], 'its ID is the same')
    workshop.write('passwd', 'bob:x:7:6::/home:/bin/sh\n')
    const linked = 'COPY --link --chown=bob a.txt /l'
    assert.deepEqual(await executedAgain(), ['COPY passwd /etc/passwd', named, linked])
  })

  for (const [what, one, other] of [
    ['variables', 'ENV A="b C=d"\nRUN x', 'ENV A=b C=d\nRUN x'],
    ['arguments', 'RUN ["a", "b c"]', 'RUN ["a b", "c"]'],
    ['an argument and none', 'RUN ["a", ""]', 'RUN ["a"]'],
    ['heredocs', 'COPY <<a <<b /d/\n1\na\n2\nb', 'COPY <<a <<b /d/\n1\n2\na\nb'],
  ] as const)
    it(`semantics 101: ${what} are not run together`, async () => {
      using workshop = await example()
      const steps = await second(workshop, [`FROM scratch\n${one}`, `FROM scratch\n${other}`])
      assert.equal(steps.length, 1)
    })

  it('semantics 101: files with blanks in their names are not run together', async () => {
    using workshop = await example()
    workshop.write('a b', 'x')
    workshop.write('a', 'x')
    workshop.write('b', 'x')
    const steps = await second(workshop, ['FROM scratch\nCOPY a b /d/', 'FROM scratch\nCOPY ["a b", "/d/"]'])
    assert.equal(steps.length, 1)
  })

  it('semantics 102: an equal RUN is executed once over one root, and again over another', async () => {
    using workshop = await example()
    await workshop.build(`FROM scratch AS one
COPY a.txt /
RUN same
FROM scratch AS two
COPY a.txt /
RUN same
FROM scratch AS three
COPY b.txt /
RUN same
FROM scratch
COPY --from=one / /1
COPY --from=two / /2
COPY --from=three / /3`)
    assert.equal(workshop.processes.length, 2)
  })

  it('semantics 103: of a base its files and variables count, not its name or labels', async () => {
    using workshop = await example()
    const base = (line: string, tag: string) => workshop.build(`FROM scratch\nCOPY a.txt /\n${line}`, { tag })
    await base('LABEL v=1', 'base:1')
    await base('LABEL v=2', 'base:2')
    await base('ENV V=3', 'base:3')
    await workshop.build('FROM base:1\nRUN x')
    await workshop.build('FROM base:2\nRUN x')
    assert.equal(workshop.processes.length, 1)
    await workshop.build('FROM base:3\nRUN x')
    assert.equal(workshop.processes.length, 2)
  })

  it('semantics 105: --no-cache executes equal steps of one build once', async () => {
    using workshop = await example()
    await workshop.build(
      'FROM scratch AS one\nRUN x\nFROM scratch AS two\nRUN x\nFROM scratch\nCOPY --from=one / /1\nCOPY --from=two / /2',
      { noCache: true },
    )
    assert.equal(workshop.processes.length, 1)
  })

  for (const [what, args] of Object.entries({
    SOURCE_DATE_EPOCH: new Map([['SOURCE_DATE_EPOCH', '1000']]),
    'BUILDKIT_*': new Map([['BUILDKIT_INLINE_CACHE', '1']]),
    'an argument that nobody declares': new Map([['OTHER', '1']]),
  }))
    it(`semantics 107: ${what} executes nothing again`, async () => {
      using workshop = await example()
      const text = 'FROM scratch\nCOPY a.txt /\nWORKDIR /w\nRUN x'
      assert.deepEqual(await second(workshop, [text, text], [{}, { buildArgs: args }]), [])
    })

  it('semantics 108: what is exported after a hit is byte for byte what was exported before', async () => {
    using workshop = await example()
    const text = 'FROM scratch AS a\nRUN x\nFROM scratch\nCOPY --from=a / /\nWORKDIR /w\nCOPY *.txt ./'
    const digests: string[] = []
    for (const name of ['1.tar', '2.tar']) {
      const dest = join(workshop.folder, name)
      await workshop.build(text, { outputs: [{ type: 'oci', tar: true, dest }] })
      digests.push(digestOf(readFileSync(dest)))
    }
    assert.equal(digests[0], digests[1])
    assert.equal(workshop.processes.length, 1)
  })

  it('semantics 67: what a secret holds, or that there is none, is not in the key', async () => {
    using workshop = await example()
    const text = 'FROM scratch\nRUN --mount=type=secret,id=s,env=S x'
    const secret = (value: string): Partial<BuildOptions> => ({
      secrets: new Map([['s', { kind: 'value', value }]]),
    })
    await workshop.build(text, secret('one'))
    await workshop.build(text, secret('two'))
    await workshop.build(text)
    assert.equal(workshop.processes.length, 1)
  })

  for (const [what, one, other] of [
    ['which secret there is', 'secret,id=a,target=/s', 'secret,id=b,target=/s'],
    ['where a secret is', 'secret,id=a,target=/s', 'secret,id=a,target=/t'],
    ['in which variable a secret is', 'secret,id=a,env=A', 'secret,id=a,env=B'],
    ['whether a secret is a file too', 'secret,id=a,env=A', 'secret,id=a,env=A,target=/s'],
    ['which agent there is', 'ssh,id=a', 'ssh,id=b'],
    ['where nothing stays', 'tmpfs,target=/s', 'tmpfs,target=/t'],
  ] as const)
    it(`semantics 100: ${what} is in the key`, async () => {
      using workshop = await example()
      for (const mount of [one, other]) await workshop.build(`FROM scratch\nRUN --mount=type=${mount} x`)
      assert.equal(workshop.processes.length, 2)
    })

  it('semantics 69: the network mode is in the key', async () => {
    using workshop = await example()
    const text = 'FROM scratch\nRUN x'
    assert.equal((await second(workshop, [text, text], [{}, { network: 'none' }])).length, 1)
    assert.equal((await second(workshop, [text, 'FROM scratch\nRUN --network=none x'])).length, 0)
  })

  it('limits that a program can tell are in the key, also where it mounts a stage', async () => {
    using workshop = await example()
    const text = 'FROM scratch AS o\nCOPY a.txt /\nFROM scratch\nRUN --mount=type=bind,from=o,target=/o x'
    const limits = (soft: number) => ({ limits: { ulimits: [{ name: 'nofile', soft, hard: soft }] } })
    assert.deepEqual((await second(workshop, [text, text], [limits(10), limits(20)])).length, 1)
  })

  it('semantics 68, 100: of a bind mount what it mounts is in the key, and nothing else of there', async () => {
    using workshop = await example()
    mkdirSync(join(workshop.context, 'src'))
    workshop.write('src/f', '1')
    const text =
      'FROM scratch AS other\nCOPY src b.txt /src/\nFROM scratch\nRUN --mount=type=bind,from=other,source=/src/f,target=/f x'
    await workshop.build(text)
    const runs = async (path: string) => {
      workshop.write(path, 'changed')
      await workshop.build(text)
      return workshop.processes.length
    }
    assert.equal(await runs('b.txt'), 1)
    assert.equal(await runs('src/f'), 2)
  })
})

async function example(): Promise<Workshop> {
  const workshop = await openWorkshop()
  for (const name of ['a.txt', 'b.txt', 'same.txt']) workshop.write(name, name === 'b.txt' ? 'b' : 'a')
  workshop.play = ({ args }, root) => {
    writeFileSync(join(root, 'ran'), args.join(' '))
    return 0
  }
  return workshop
}
