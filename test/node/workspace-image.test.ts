import { beforeAll, describe, expect, test } from 'vitest';
import { DOCKER_IMAGE, WORKSPACE_IMAGE } from '../../tools/programs/workspace-image.ts';
import { enter, exec, inside, leave, type Workspace } from './fixture/keep.ts';
import { DOCKER_PARTS, PARTS, type Part } from './fixture/parts.ts';
import { plainWorkspace } from './fixture/pods.ts';
import { BENCH } from './fixture/steps.ts';
import { onNode, useNode } from './fixture/use.ts';

onNode('the workspace image', () => {
  let ground: Awaited<ReturnType<typeof useNode>>;
  beforeAll(async () => {
    ground = await useNode();
  });

  async function enterUnder(offer: Part['offer'], namespace: string, image: string): Promise<Workspace> {
    await ground.apiServer.createNamespace(namespace);
    const tenant = await ground.apiServer.createTenant(namespace, namespace);
    return enter(ground, tenant, namespace, plainWorkspace(image, offer));
  }

  describe.each([
    ['workspace', WORKSPACE_IMAGE, PARTS],
    ['workspace-docker', DOCKER_IMAGE, DOCKER_PARTS],
  ])('the build target %s', (target, image, parts) => {
    test.each(['userns-containers', 'userns-sysadmin'] as const)('no part is missing under %s', async (offer) => {
      const workspace = await enterUnder(offer, `whole-${target}-${offer}`, image);
      for (const { name, attempt } of parts) {
        const { code, stdout, stderr } = await exec(workspace, `cd ${BENCH} && ${attempt}`);
        expect({ name, code, output: code === 0 ? '' : stdout + stderr }).toEqual({ name, code: 0, output: '' });
      }
      await leave(workspace);
    });

    test.each(parts.map((part, index) => [part.name, part, index] as const))(
      'without %s, a workspace prints what the page says',
      async (_, { offer, take, attempt, says }, index) => {
        const workspace = await enterUnder(offer, `${target}-without-${index}`, image);
        await inside(workspace, `sudo -n bash -euc '${take.replaceAll("'", `'\\''`)}'`);
        const said: string[] = [];
        const isSaid = new RegExp(says.split('...').map(RegExp.escape).join('.*'));
        // Sometimes a build exits before it has printed the last output of the failed process.
        for (let tries = 0; tries < 3 && !said.some((text) => isSaid.test(text)); tries += 1) {
          const { code, stdout, stderr } = await exec(workspace, `cd ${BENCH} && ${attempt}`);
          expect(code).not.toBe(0);
          said.push(stdout + stderr);
        }
        expect(said.join('\n')).toMatch(isSaid);
        await leave(workspace);
      },
    );
  });
});
