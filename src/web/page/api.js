// The daemon's JSON.
let session = null;

async function answer(response) {
  if (response.status === 401) {
    location.href = '/login';
    return new Promise(() => {});
  }
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.error || `${response.status} ${response.statusText}`);
  return body;
}

/** Asks for something below `/api/v1`. */
export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== ''));
  const text = query.toString();
  return answer(await fetch(`/api/v1${path}${text ? `?${text}` : ''}`, { headers: { accept: 'application/json' }, signal }));
}

/** Who looks at this page. */
export async function who() {
  return (session ??= await get('/session'));
}

/** Does something. */
export async function post(path, body, base = '/api/v1') {
  const csrf = base ? (await who()).csrf : '';
  return answer(await fetch(`${base}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf-token': csrf },
    body: JSON.stringify(body),
  }));
}
