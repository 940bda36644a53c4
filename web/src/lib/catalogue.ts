/** What a sampler can be made of, as `GET /v1/samplers` tells it. No stage is known by name in this page. */

/** How a parameter is set. */
export type Control =
  | { type: 'number'; integer: boolean; min: number; max: number; usual: [number, number] | null }
  | { type: 'switch' }
  | { type: 'choice'; values: string[] }
  | { type: 'text' };

export interface Parameter {
  name: string;
  aliases: string[];
  summary: string;
  /** What it may be, in words. */
  kind: string;
  /** What holds if it is not given; null if it must be. */
  default: string | null;
  /** Numbers at which the stage does nothing. */
  neutral: number[];
  /** What a new stage begins with, if it must be given. */
  start: string;
  control: Control;
}

export interface StageInfo {
  name: string;
  aliases: string[];
  summary: string;
  role: string;
  source: string;
  keeps_argmax: boolean;
  /** The main parameter is the one called `value`. */
  parameters: Parameter[];
}

/** The main parameter: what stands after the equals sign. */
export const VALUE = 'value';

/** The stages there are, in canonical order. */
export class Catalogue {
  constructor(readonly stages: StageInfo[]) {}

  /** The stage of a name or an alias. */
  find(name: string): StageInfo | undefined {
    return this.stages.find((stage) => stage.name === name || stage.aliases.includes(name));
  }
}

/** The answer of `GET /v1/samplers`. */
export interface Answer {
  stages: (Omit<StageInfo, 'parameters'> & {
    rank: number;
    fields: { name: string; aliases: string[]; summary: string; kind: string; default?: string; neutral: number[] }[];
  })[];
  schema: { $defs: Record<string, Schema> };
}

interface Schema {
  type?: string;
  minimum?: number;
  maximum?: number;
  enum?: string[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  examples?: (string | number)[];
  'x-usual'?: [number, number];
}

/** Reads the catalogue: names and words from its list, constraints from the schema. */
export function read(answer: Answer): Catalogue {
  const stages = [...answer.stages].sort((a, b) => a.rank - b.rank);
  return new Catalogue(
    stages.map(({ fields, ...stage }) => {
      const properties = answer.schema.$defs[stage.name]?.anyOf?.at(-1)?.properties ?? {};
      const parameters = fields.map((field) => {
        const schema = properties[field.name] ?? {};
        return { ...field, default: field.default ?? null, start: start(schema), control: control(schema) };
      });
      return { ...stage, parameters };
    }),
  );
}

function control(schema: Schema): Control {
  const number = schema.anyOf?.find(({ type }) => type === 'number' || type === 'integer');
  if (number) {
    const { minimum = -Infinity, maximum = Infinity } = number;
    return {
      type: 'number',
      integer: number.type === 'integer',
      min: minimum,
      max: maximum,
      usual: schema['x-usual'] ?? null,
    };
  }
  if (schema.type === 'boolean') return { type: 'switch' };
  return schema.enum ? { type: 'choice', values: schema.enum } : { type: 'text' };
}

/** The example of the schema, its own or that of its text form. */
function start(schema: Schema): string {
  const example = schema.examples?.[0] ?? schema.anyOf?.find(({ type }) => type === 'string')?.examples?.[0];
  return example === undefined ? '' : String(example);
}
