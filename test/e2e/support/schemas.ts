/** Pipelines and manifests against the schemas of those who read them. */
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { parse } from 'yaml'
import { run } from './process.ts'

const PACKAGES = join(import.meta.dirname, '../../../node_modules')

/** Says what is wrong with a file of that text, `''` if nothing is; `folder` is an empty one that it may fill. */
export type Check = (text: string, folder: string) => Promise<string>

/** By the parser of GitHub's own editors and runners. */
export const checkWorkflow: Check = async text => {
  const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await importWithJson()
  const { context, value } = parseWorkflow(
    { name: 'workflow.yml', content: text },
    new NoOperationTraceWriter(),
  )
  if (value !== undefined) await convertWorkflowTemplate(context, value)
  return context.errors
    .getErrors()
    .map(error => error.message)
    .join('\n')
}

/** By the JSON schema of GitLab's editor, which gitlab-ci-local brings; it reads a pipeline as a runner would, too. */
export const checkPipeline: Check = async (text, folder) => {
  await run('git', ['init', '--quiet', folder])
  await writeFile(join(folder, '.gitlab-ci.yml'), text)
  const program = join(PACKAGES, 'gitlab-ci-local/dist/index.js')
  const { code, stdout, stderr } = await run(process.execPath, [program, '--list'], { cwd: folder })
  return code === 0 ? '' : stdout + stderr
}

/** By the types that are made of the OpenAPI description of Kubernetes: members that no type has are errors. */
export const checkJob: Check = async (text, folder) => {
  await mkdir(folder, { recursive: true })
  await symlink(PACKAGES, join(folder, 'node_modules'))
  const program = `import type { Job } from 'kubernetes-types/batch/v1.js'
export const job: Job = ${JSON.stringify(parse(text), null, 2)}\n`
  await writeFile(join(folder, 'job.ts'), program)
  const flags = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', '']
  const compiler = join(PACKAGES, 'typescript/bin/tsc')
  const { stdout, stderr } = await run(process.execPath, [compiler, ...flags, 'job.ts'], { cwd: folder })
  return stdout + stderr
}

/** It is made for bundlers: it imports JSON without saying so, which Node refuses. */
async function importWithJson(): Promise<typeof import('@actions/workflow-parser')> {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context)
      return specifier.endsWith('.json') ? { ...resolved, importAttributes: { type: 'json' } } : resolved
    },
  })
  try {
    return await import('@actions/workflow-parser')
  } finally {
    hooks.deregister()
  }
}
