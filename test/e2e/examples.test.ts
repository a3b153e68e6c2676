/** The files of examples/: of their formats, and what they run does what they say, on runners of our own. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Job } from 'kubernetes-types/batch/v1.js'
import type { SecurityContext } from 'kubernetes-types/core/v1.js'
import { parse } from 'yaml'
import { type GitServer, git, serveGit } from '../support/git-server.ts'
import { run, succeed } from './support/process.ts'
import { type Check, checkJob, checkPipeline, checkWorkflow } from './support/schemas.ts'
import { PROGRAM, type Served, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const PROJECT = join(import.meta.dirname, '../..')
const EXAMPLES = join(PROJECT, 'examples')
const programs = ['runc', 'docker-compose', 'systemd-analyze', 'git', 'bash', 'setpriv']

const BY_CHROOT = 'RUN has no wall but chroot'

/** Mistakes in copies of the examples: a text, what stands there instead, and what is said of it. */
const MISTAKES: readonly (readonly [string, Check, readonly (readonly [string, string, RegExp])[]])[] = [
  [
    'github-actions.yml',
    checkWorkflow,
    [
      ['runs-on:', 'run-on:', /'run-on'/],
      ['if: github.', 'if: githb.', /'githb'/],
      ['contents: read', 'contents: rwx', /'rwx'/],
    ],
  ],
  [
    'gitlab-ci.yml',
    checkPipeline,
    [
      ['before_script:', 'before_scripts:', /'before_scripts' property is not expected/],
      ['- if:', '- when_true:', /'when_true' property is not expected/],
    ],
  ],
  [
    'kubernetes-job.yaml',
    checkJob,
    [
      ['restartPolicy:', 'restart:', /'"restart"' does not exist in type 'PodSpec'/],
      ['backoffLimit: 1', 'backoffLimit: "1"', /'string' is not assignable to type 'number'/],
    ],
  ],
  [
    'kubernetes-job-user-namespace.yaml',
    checkJob,
    [['procMount:', 'procmount:', /'"procmount"' does not exist in type 'SecurityContext'/]],
  ],
]

/** A process with the capabilities of a container. */
function privileges(context: SecurityContext | undefined): string[] {
  const { drop = [], add = [] } = context?.capabilities ?? {}
  const kept = add.map(name => `+${name.toLowerCase()}`)
  return [
    ...(drop.includes('ALL') ? [`--bounding-set=${['-all', ...kept].join(',')}`] : []),
    ...(context?.allowPrivilegeEscalation === false ? ['--no-new-privs'] : []),
    '--reuid=0',
  ]
}

interface Step {
  readonly name?: string
  readonly if?: string
  readonly env?: Readonly<Record<string, string>>
  readonly run?: string
}

describe('examples', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let registry: Served
  let hosting: GitServer
  let runners = 0

  before(async () => {
    world = await createWorld({ base: true })
    await world.slipway.run(['user', 'add', 'ci', '--password-stdin'], { input: 'ci password\n' })
    registry = await world.slipway.serve()
    const repository = async (name: string, fill: (folder: string) => Promise<unknown>): Promise<void> => {
      const folder = join(world.scratch, 'repositories', name)
      await mkdir(folder, { recursive: true })
      await fill(folder)
      git(folder, 'init', '--quiet')
      git(folder, 'add', '.')
      git(folder, 'commit', '--quiet', '-m', 'first')
      git(world.scratch, 'clone', '--quiet', '--bare', folder, `served/${name}.git`)
    }
    await repository('team/app', folder => cp(join(EXAMPLES, 'app'), folder, { recursive: true }))
    await repository('slipway', async folder => {
      for (const name of ['bin', 'src', 'package.json'])
        await cp(join(PROJECT, name), join(folder, name), { recursive: true })
    })
    hosting = await serveGit(join(world.scratch, 'served'))
  })
  after(async () => {
    await hosting?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  /** A machine that knows nothing but the base image; returns its folder, in which `app` is the checkout. */
  async function runner(): Promise<string> {
    const folder = join(world.scratch, `runner-${runners++}`)
    await cp(join(EXAMPLES, 'app'), join(folder, 'app'), { recursive: true })
    const slipway = slipwayAt(join(folder, 'store'))
    await slipway.run(['import', join(world.scratch, 'base.tar'), 'docker.io/library/alpine:3.22'])
    await mkdir(join(folder, 'bin'))
    await symlink(PROGRAM, join(folder, 'bin/slipway'))
    return folder
  }

  const nextFolder = (): string => join(world.scratch, `checked-${runners++}`)

  async function readExample(name: string, check: Check): Promise<unknown> {
    const text = await readFile(join(EXAMPLES, name), 'utf8')
    assert.equal(await check(text, nextFolder()), '')
    return parse(text)
  }

  for (const [name, check, mistakes] of MISTAKES) {
    it(`a copy of ${name} with a mistake is none`, async () => {
      const text = await readFile(join(EXAMPLES, name), 'utf8')
      for (const [right, wrong, said] of mistakes) {
        assert.ok(text.includes(right), right)
        assert.match(await check(text.replace(right, wrong), nextFolder()), said)
      }
    })
  }

  /** Names of hosts and folders that are examples, as they are here. */
  const here = (text: string, folder: string): string =>
    text
      .replaceAll(/ghcr\.io|registry\.example/g, registry.host)
      .replaceAll('https://git.example', hosting.url)
      .replaceAll('/tmp/', `${folder}/`)

  async function assertPushed(name: string): Promise<void> {
    const layout = join(world.scratch, `pulled-${runners++}`)
    await world.slipway.run(['copy', `store:${name}`, `oci:${layout}`]).catch(async () => {
      assert.fail(`${name} is not in the registry: ${await world.slipway.run(['images'])}`)
    })
  }

  const bash = async (
    script: string,
    cwd: string,
    env: Readonly<Record<string, string>>,
  ): Promise<string> => {
    const { code, stdout, stderr } = await run('bash', ['-eo', 'pipefail', '-c', script], { cwd, env })
    assert.equal(code, 0, `${script}\n${stdout}\n${stderr}`)
    return stdout + stderr
  }

  it('github-actions.yml builds, pushes, and finds its cache again', async () => {
    const { env, jobs } = (await readExample('github-actions.yml', checkWorkflow)) as {
      env: Record<string, string>
      jobs: { image: { steps: Step[] } }
    }
    const values: Readonly<Record<string, string>> = {
      'github.repository': 'team/app',
      'github.token': 'ci password',
    }
    const play = async (event: string): Promise<string> => {
      const folder = await runner()
      const filled = (text: string): string =>
        here(
          text.replaceAll(/\$\{\{ (.*?) \}\}/g, (_, name) => values[name] ?? assert.fail(name)),
          folder,
        )
      // What an ordinary runner has: a way to become root, and npm with a network.
      const programs = join(folder, 'programs')
      await mkdir(programs)
      await writeFile(join(programs, 'sudo'), '#!/bin/sh\n', { mode: 0o755 })
      const npm = `#!/bin/sh\nfor last; do :; done; ln -s ${PROJECT}/node_modules "$last/node_modules"\n`
      await writeFile(join(programs, 'npm'), npm, { mode: 0o755 })
      let path = `${programs}:${process.env.PATH}`
      const files = { GITHUB_PATH: join(folder, 'path'), GITHUB_ENV: join(folder, 'env') }
      for (const file of Object.values(files)) await writeFile(file, '')
      let printed = ''
      for (const step of jobs.image.steps) {
        if (step.run === undefined || (step.if ?? event).includes(event) === false) continue
        const given = Object.entries({ ...env, ...step.env }).map(([name, value]) => [name, filled(value)])
        const noted = (await readFile(files.GITHUB_ENV, 'utf8')).trim().split('\n').filter(Boolean)
        printed = await bash(filled(step.run), join(folder, 'app'), {
          ...Object.fromEntries(given),
          ...Object.fromEntries(noted.map(line => line.split('='))),
          ...files,
          GITHUB_ACTIONS: 'true',
          GITHUB_ACTOR: 'ci',
          GITHUB_SHA: '0123456789abcdef0123456789abcdef01234567',
          RUNNER_TEMP: folder,
          SLIPWAY_ROOT: join(folder, 'store'),
          PATH: path,
        })
        const added = (await readFile(files.GITHUB_PATH, 'utf8')).trim()
        if (added !== '') path = `${added}:${programs}:${process.env.PATH}`
      }
      return printed
    }
    const pushed = await play('push')
    assert.match(pushed, /^#\d+ \[3\/3\] RUN .* DONE /m)
    await assertPushed('team/app:0123456789abcdef0123456789abcdef01234567')
    assert.match(await play('pull_request'), /^#\d+ \[3\/3\] RUN .* CACHED$/m)
  })

  it('gitlab-ci.yml builds, pushes, and finds its cache again', async () => {
    const {
      '.slipway': common,
      build,
      push,
    } = (await readExample('gitlab-ci.yml', checkPipeline)) as Record<
      string,
      { variables: Record<string, string>; before_script: string[]; script: string[] }
    >
    assert.ok(common && build && push)
    const play = async (script: readonly string[]): Promise<string> => {
      const folder = await runner()
      const variables = Object.entries(common.variables).map(([name, value]) => [name, here(value, folder)])
      const lines = here([...common.before_script, ...script].join('\n'), folder)
      return bash(lines, join(folder, 'app'), {
        ...Object.fromEntries(variables),
        GITLAB_CI: 'true',
        CI_REGISTRY: registry.host,
        CI_REGISTRY_USER: 'ci',
        CI_REGISTRY_PASSWORD: 'ci password',
        CI_REGISTRY_IMAGE: `${registry.host}/group/app`,
        CI_COMMIT_SHA: 'abc',
        SLIPWAY_ROOT: join(folder, 'store'),
        PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      })
    }
    const pushed = await play(push.script)
    assert.match(pushed, /^#\d+ \[3\/3\] RUN .* DONE /m)
    assert.ok(pushed.includes(BY_CHROOT), pushed)
    await assertPushed('group/app:abc')
    assert.match(await play(build.script), /^#\d+ \[3\/3\] RUN .* CACHED$/m)
  })

  for (const name of ['kubernetes-job.yaml', 'kubernetes-job-user-namespace.yaml']) {
    it(`${name} builds a repository, and pushes`, async () => {
      const [container] = ((await readExample(name, checkJob)) as Job).spec?.template.spec?.containers ?? []
      const { args = [], env = [], securityContext } = container ?? assert.fail(name)
      const folder = await runner()
      // With what another example has left there, no step would run.
      await world.slipway.try(['rmi', 'team/app:cache'])
      const auth = Buffer.from('ci:ci password').toString('base64')
      await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }))
      const { code, stderr } = await run(
        'setpriv',
        [...privileges(securityContext), PROGRAM, ...args.map(arg => here(arg, folder))],
        {
          cwd: dirname(folder),
          env: {
            ...Object.fromEntries(env.map(({ name: key, value = '' }) => [key, value])),
            DOCKER_CONFIG: folder,
            SLIPWAY_ROOT: join(folder, 'store'),
          },
        },
      )
      assert.equal(code, 0, stderr)
      assert.equal(stderr.includes(BY_CHROOT), name === 'kubernetes-job.yaml', stderr)
      await assertPushed('team/app:1.0')
      await world.slipway.run(['rmi', 'team/app:1.0'])
    })
  }

  /** Starts a server as an example says, and waits until it answers. */
  async function assertServes(args: readonly string[], root: string): Promise<void> {
    const child = slipwayAt(root).start(args)
    const [greeting] = await once(child.stdout ?? assert.fail(), 'data')
    const port = /:(\d+)\b/.exec(String(greeting).replace(/.*(?=http)/s, ''))?.[1]
    assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200)
    child.kill('SIGTERM')
    assert.equal((await once(child, 'close'))[0], 0)
  }

  it('compose.yaml is one, and its command serves', async () => {
    const file = join(EXAMPLES, 'compose.yaml')
    await succeed('docker-compose', ['--file', file, 'config', '--quiet'])
    const { services } = parse(await readFile(file, 'utf8')) as {
      services: { registry: { command: string[] } }
    }
    const args = services.registry.command.map(arg => arg.replace('0.0.0.0:5000', '127.0.0.1:0'))
    await assertServes(args, join(world.scratch, 'composed'))
  })

  it('slipway.service is a unit, with walls around it, and its command serves', async () => {
    const unit = await readFile(join(EXAMPLES, 'slipway.service'), 'utf8')
    const file = join(world.scratch, 'slipway.service')
    await writeFile(file, unit.replace('/opt/slipway/bin/slipway', PROGRAM))
    const { code, stderr } = await run('systemd-analyze', ['verify', file])
    assert.equal(code, 0, stderr)
    assert.ok(!stderr.includes('slipway.service'), stderr)
    await succeed('systemd-analyze', ['security', '--offline=true', '--threshold=15', file])
    const [, command = ''] = /^ExecStart=\S+ (.*)$/m.exec(unit) ?? []
    const root = join(world.scratch, 'service')
    await assertServes(
      command.replace('/var/lib/slipway', root).replace('127.0.0.1:5000', '127.0.0.1:0').split(' '),
      root,
    )
  })
})
