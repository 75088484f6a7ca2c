/** JSON whose shape is not known to the compiler; each step says where it stands when it goes wrong. */
export class Json {
  readonly value: unknown;
  private readonly path: string;

  constructor(value: unknown, path = '$') {
    this.value = value;
    this.path = path;
  }

  /** What lies under these keys, or a Json of undefined. */
  at(...keys: readonly (string | number)[]): Json {
    let here: Json = this;
    for (const key of keys) {
      const { value, path } = here;
      const next: unknown = isObject(value) || Array.isArray(value) ? Reflect.get(value, key) : undefined;
      here = new Json(next, `${path}.${key}`);
    }
    return here;
  }

  exists(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** The elements; an absent list has none. */
  list(): Json[] {
    if (!this.exists()) {
      return [];
    }
    if (!Array.isArray(this.value)) {
      throw new Error(`${this.path} is not a list`);
    }
    return this.value.map((item, index) => new Json(item, `${this.path}[${index}]`));
  }

  /** The element itself, or the elements: what IAM writes either way. */
  each(): Json[] {
    return Array.isArray(this.value) ? this.list() : [this];
  }

  entries(): [string, Json][] {
    if (!isObject(this.value)) {
      throw new Error(`${this.path} is not an object`);
    }
    return Object.entries(this.value).map(([key, item]) => [key, new Json(item, `${this.path}.${key}`)]);
  }

  text(): string {
    if (typeof this.value !== 'string') {
      throw new Error(`${this.path} is not text`);
    }
    return this.value;
  }

  /** A text in which references have been joined; each stands as `<reference>`. */
  joined(): string {
    if (typeof this.value === 'string') {
      return this.value;
    }
    return this.at('Fn::Join', 1)
      .list()
      .map(({ value }) => (typeof value === 'string' ? value : '<reference>'))
      .join('');
  }

  toJSON(): unknown {
    return this.value;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
