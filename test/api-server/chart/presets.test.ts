import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { exemptionsOf, PLATFORMS, presetText } from '../../platforms/platforms.ts';
import { only, rendered } from '../../support/helm.ts';

/** The presets through helm and the schema of the values: the chart renders the configuration that test/platforms judges pods by. */

interface Preset {
  readonly profiles: Readonly<Record<string, object>>;
  readonly governs?: readonly object[];
}

const renderedConfig = async (values: object): Promise<object> =>
  parse(only(await rendered(values), 'ConfigMap', 'cloister-config').data['config.yaml']) as object;

describe.each(PLATFORMS)('the preset of $id', ({ id }) => {
  const preset = parse(presetText(id)) as Preset;

  test('the chart renders the profiles of the preset, beside its own userns, and governs what the preset governs', async () => {
    const config = await renderedConfig(preset);
    expect(config).toMatchObject({ profiles: { userns: { grant: 'containers' }, ...preset.profiles } });
    expect((config as Preset).governs).toEqual(preset.governs);
  });

  test('the schema accepts the preset together with the exemptions of the page', async () => {
    const exemptions = exemptionsOf(id);
    const config = await renderedConfig({ ...preset, exemptions });
    expect((config as { readonly exemptions?: object }).exemptions).toEqual(exemptions.length === 0 ? undefined : exemptions);
  });

  test('the schema refuses a misspelt option of the preset', async () => {
    const [[profile, options] = ['', {}]] = Object.entries(preset.profiles);
    const misspelt = { ...preset, profiles: { [profile]: { ...options, grantto: ['x'] } } };
    await expect(rendered(misspelt)).rejects.toThrow(/grantto/);
  });
});
