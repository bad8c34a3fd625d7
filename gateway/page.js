// SPDX-License-Identifier: BSD-3-Clause
// The page of extmem-gateway: asks /v1 every other second and shows what it says. Elements
// of lists are kept as long as what they show, so that focus and selection stay.
'use strict';

const REGIONS = 200; // shown at most
const $ = (id) => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

// --- words ---------------------------------------------------------------------

function bytes(n) {
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
	let i = 0;
	while (n >= 1024 && i < units.length - 1) {
		n /= 1024;
		i++;
	}
	return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}

function count(n) {
	if (n >= 1e6)
		return `${(n / 1e6).toFixed(1)} M`;
	return n >= 1e4 ? `${(n / 1e3).toFixed(1)} k` : String(Math.round(n));
}

function time(s) {
	if (s === 0)
		return '–';
	if (s < 1e-3)
		return `${(s * 1e6).toFixed(s < 1e-4 ? 1 : 0)} µs`;
	return s < 1 ? `${(s * 1e3).toFixed(1)} ms` : duration(s);
}

function duration(s) {
	if (s < 90)
		return `${Math.round(s)} s`;
	return s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}

function plural(n, what) {
	return `${n} ${what}${n === 1 ? '' : 's'}`;
}

// The library's sentences begin with the name of the call.
function sentence(text) {
	return text.replace(/^extmem_[a-z_]+: /, '');
}

// Its name when it answered last.
function nameOf(a) {
	return a.name || a.address;
}

// --- elements -------------------------------------------------------------------

function make(name, properties, ...children) {
	const element = document.createElement(name);
	Object.assign(element, properties);
	element.append(...children);
	return element;
}

function draw(name, attributes) {
	const element = document.createElementNS(SVG, name);
	for (const key in attributes)
		element.setAttribute(key, attributes[key]);
	return element;
}

function put(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

// Makes, changes, orders and removes the children of `parent`, one for each item.
function sync(parent, items, keyOf, create, update) {
	const old = new Map();
	for (const child of [...parent.children])
		old.set(child.dataset.key, child);
	let before = parent.firstElementChild;
	for (const item of items) {
		const key = String(keyOf(item));
		let child = old.get(key);
		old.delete(key);
		if (!child) {
			child = create(item);
			child.dataset.key = key;
		}
		update(child, item);
		if (child !== before)
			parent.insertBefore(child, before);
		else
			before = before.nextElementSibling;
	}
	for (const child of old.values())
		child.remove();
}

function row(cells) {
	const tr = make('tr');
	for (const kind of cells)
		tr.append(make(kind === 'head' ? 'th' : 'td', {
			className: kind === 'number' ? 'number' : '', scope: kind === 'head' ? 'row' : '' }));
	return tr;
}

// --- asking -----------------------------------------------------------------------

class Refusal extends Error {
	constructor(status, error) {
		// Hints about tokens are for programs: here is a field for it.
		super(error.message + (error.hint && status !== 401 ? `: ${error.hint}` : ''));
		this.status = status;
	}
}

async function ask(path, method) {
	const token = sessionStorage.getItem('token');
	const headers = token ? { Authorization: `Bearer ${token}` } : {};
	const answer = await fetch(path, { method: method || 'GET', headers, cache: 'no-store' });
	const body = await answer.json();
	if (!answer.ok)
		throw new Refusal(answer.status, body.error);
	return body;
}

async function all(path, most) {
	const items = [];
	let next = null, truncated = false;
	do {
		const from = next === null ? '' : `&cursor=${encodeURIComponent(next)}`;
		const page = await ask(`${path}?limit=${Math.min(most, 1000)}${from}`);
		items.push(...page.items);
		next = page.next;
		truncated = truncated || page.truncated;
	} while (next !== null && items.length < most);
	return { items, more: next !== null || truncated };
}

// --- what an operator does -----------------------------------------------------------

// Asks for a yes and, where one is needed, for a token; `act` is tried until it succeeds
// or the operator gives up.
function confirmThat(head, words, yes, act) {
	put($('ask-head'), head);
	put($('ask-words'), words);
	put($('ask-yes'), yes);
	$('ask-wrong').hidden = true;
	$('token-label').hidden = act !== null && sessionStorage.getItem('token') !== null;
	$('token').value = '';
	$('ask-form').onsubmit = async (event) => {
		event.preventDefault();
		const given = $('token').value.trim();
		if (!$('token-label').hidden && (given || act === null))
			sessionStorage.setItem('token', given);
		$('ask-yes').disabled = true;
		try {
			await (act ? act() : ask('/v1'));
			$('ask').close();
			look();
		} catch (error) {
			put($('ask-wrong'), `Not done: ${sentence(error.message)}`);
			$('ask-wrong').hidden = false;
			if (error.status === 401 || error.status === 403) {
				sessionStorage.removeItem('token');
				$('token-label').hidden = false;
			}
		}
		$('ask-yes').disabled = false;
	};
	if (!$('ask').open)
		$('ask').showModal();
	($('token-label').hidden ? $('ask-no') : $('token')).focus();
}

function askForToken() {
	confirmThat('Token', 'Acts, and perhaps reading, need a token. This tab keeps it until it is closed.',
		'Use it', null);
}

function drain(appliance) {
	const name = nameOf(appliance);
	const path = `/v1/appliances/${encodeURIComponent(appliance.id)}/drain`;
	const what = appliance.figures;
	if (appliance.state === 'draining')
		confirmThat(`Let ${name} lend again?`, 'It lends memory to whoever asks. What has moved away stays '
			+ 'where it is.', 'Lend again', () => ask(path, 'DELETE'));
	else
		confirmThat(`Drain ${name}?`, `${appliance.address} will lend nothing more, and `
			+ `${plural(what.clients, 'client')} will move ${bytes(what.lent_bytes)} to other appliances while `
			+ 'their programs run. What has nowhere to go stays, and works on. It can be taken back.',
			'Drain', () => ask(path, 'PUT'));
}

// --- appliances ------------------------------------------------------------------------

const signs = { up: '●', draining: '◐', away: '✕', unknown: '?' };
const shown = new Map(); // of a button: the appliance as it was shown last
const drains = new Map(); // id: what was lent, and when, since it drains

// How long a drain will take, at its rate since we look at it.
function progress(a, now) {
	if (a.state !== 'draining') {
		drains.delete(a.id);
		return '';
	}
	const left = a.figures.lent_bytes;
	if (left === 0)
		return 'empty: it can be stopped';
	if (!drains.has(a.id))
		drains.set(a.id, { lent: left, at: now });
	const begin = drains.get(a.id);
	const rate = (begin.lent - left) / ((now - begin.at) / 1000);
	return `${bytes(left)} to move${rate > 0 ? `, ${duration(left / rate)}` : ''}`;
}

function bar(svg, f) {
	const width = (n) => Math.round((n / f.pool_bytes) * 178);
	const lent = width(f.lent_bytes), quarantined = width(f.quarantined_bytes);
	svg.replaceChildren(
		draw('rect', { class: 'free', x: .5, y: .5, width: 179, height: 13 }),
		draw('rect', { class: 'lent', x: 1, y: 1, width: lent, height: 12 }));
	if (quarantined > 0)
		svg.append(draw('rect', { class: 'quarantined', x: 1 + lent, y: 1, width: quarantined, height: 12,
			fill: 'url(#hatch)' }));
	svg.setAttribute('aria-label', `${bytes(f.lent_bytes)} of ${bytes(f.pool_bytes)} lent, `
		+ `${bytes(f.quarantined_bytes)} in quarantine`);
}

function createAppliance(a) {
	const tr = row(['head', '', '', 'number', 'number', 'number', 'number', '']);
	const svg = draw('svg', { class: 'bar', role: 'img', viewBox: '0 0 180 14' });
	const button = make('button', { type: 'button' });
	tr.children[0].append(make('span'), make('small'));
	tr.children[1].append(make('span', { className: 'state' }), make('small', { className: 'why' }));
	tr.children[2].append(svg, make('small'));
	tr.children[7].append(button);
	button.onclick = () => drain(shown.get(a.id));
	return tr;
}

function updateAppliance(tr, a) {
	const f = a.figures, cells = tr.children, button = cells[7].firstChild;
	shown.set(a.id, a);
	put(cells[0].firstChild, nameOf(a));
	put(cells[0].lastChild, a.name ? a.address + (f && f.zone ? `, zone ${f.zone}` : '') : '');
	put(cells[1].firstChild, `${signs[a.state]} ${a.state}`);
	cells[1].firstChild.className = `state ${a.state}`;
	put(cells[1].lastChild, f ? progress(a, Date.now()) : sentence(a.reason));
	cells[2].firstChild.classList.toggle('none', !f);
	if (f)
		bar(cells[2].firstChild, f);
	else
		cells[2].firstChild.replaceChildren();
	put(cells[2].lastChild, f ? `of ${bytes(f.pool_bytes)}` : '');
	put(cells[3], f ? bytes(f.lent_bytes) : '–');
	put(cells[4], f ? bytes(f.free_bytes) : '–');
	put(cells[5], f ? `${f.clients} of ${f.clients_limit}` : '–');
	put(cells[6], f ? `${f.extents} of ${f.extents_limit}` : '–');
	button.hidden = !f;
	put(button, a.state === 'draining' ? 'Lend again …' : 'Drain …');
	button.setAttribute('aria-label', `${a.state === 'draining' ? 'Lend again' : 'Drain'}: ${nameOf(a)}`);
}

// --- programs -------------------------------------------------------------------------------

function hits(f) {
	return f.faults > 0 ? `${((1 - f.misses / f.faults) * 100).toFixed(1)} %` : '–';
}

function copiesOf(c) {
	const k = c.copies, total = k.members + k.members_missing;
	if (total === 0)
		return k.stripes > 1 ? `one, over ${k.stripes}` : 'one';
	return `${k.members} of ${total} whole`;
}

function updateClient(tr, c) {
	const f = c.faults, cells = tr.children;
	put(cells[0].firstChild, `${c.program} `);
	put(cells[0].lastChild, `process ${c.pid}, at ${c.appliance || 'none yet'}`);
	[c.user, bytes(c.memory.external_bytes),
		`${bytes(c.memory.local_bytes)} of ${bytes(c.memory.local_limit_bytes)}`,
		count(f.faults_per_second), hits(f), bytes(f.read_bytes_per_second), bytes(f.written_bytes_per_second),
		time(f.median_seconds), time(f.p99_seconds), copiesOf(c)].forEach((text, i) => put(cells[i + 1], text));
}

function createClient() {
	const tr = row(['head', '', 'number', 'number', 'number', 'number', 'number', 'number', 'number', 'number', '']);
	tr.firstChild.append(make('span'), make('small'));
	return tr;
}

// --- what needs attention ----------------------------------------------------------------------

function troublesOf(appliances, clients) {
	const list = [];
	for (const a of appliances) {
		if (a.state === 'away')
			list.push(`${nameOf(a)} does not answer: ${sentence(a.reason)}`);
		else if (a.figures && a.figures.free_bytes < a.figures.pool_bytes / 20)
			list.push(`${nameOf(a)} has ${bytes(a.figures.free_bytes)} free.`);
	}
	for (const c of clients) {
		const who = `${c.program} (${c.pid})`, k = c.copies, m = c.memory;
		if (c.lost)
			list.push(`${who} has lost memory: ${c.lost}`);
		if (k.mending_bytes > 0)
			list.push(`${who}: memory is being copied, ${bytes(k.mending_bytes)} to look at`
				+ `${k.mending_seconds > 0 ? `, ${duration(k.mending_seconds)}` : ''}.`);
		else if (k.members_missing > 0)
			list.push(`${who}: ${k.members_missing} of ${k.members + k.members_missing} copies are missing.`);
		if (m.stranded_bytes > 0)
			list.push(`${who}: ${bytes(m.stranded_bytes)} at an appliance that drains have nowhere to go.`);
	}
	return list;
}

// --- charts ------------------------------------------------------------------------------------

// The least of 1, 2, 5, 10, ... (of powers of 1024 for bytes) that is not below n.
function roundUp(n, isBytes) {
	let unit = 1;
	while (isBytes && unit * 1024 <= n)
		unit *= 1024;
	let step = unit;
	for (let i = 0; step < n; i++)
		step = unit * [2, 5, 10][i % 3] * 10 ** Math.floor(i / 3);
	return step;
}

function chart(id, samples, series, text, isBytes, words) {
	const svg = $(id), last = samples[samples.length - 1];
	const most = roundUp(Math.max(1, ...series.flatMap((s) => samples.map((at) => at[s]))), isBytes);
	const begin = samples[0].seconds_ago, end = last.seconds_ago;
	const x = (at) => begin > end ? 2 + 356 * (begin - at.seconds_ago) / (begin - end) : 2;
	const y = (n) => 116 - 112 * n / most;
	svg.replaceChildren(...[0, .5, 1].map((part) =>
		draw('line', { x1: 0, x2: 360, y1: y(most * part), y2: y(most * part) })));
	series.forEach((s, i) => svg.append(draw('path', { class: i ? 'second' : 'first',
		d: samples.map((at, k) => `${k ? 'L' : 'M'}${x(at).toFixed(1)} ${y(at[s]).toFixed(1)}`).join('') })));
	put($(`${id}-now`), series.map((s) => text(last[s])).join(' and '));
	svg.setAttribute('aria-label', `${words}: ${series.map((s) =>
		`${text(last[s])} now, ${text(Math.max(...samples.map((at) => at[s])))} at most`).join('; ')}`);
	let scale = svg.nextElementSibling;
	if (!scale) {
		scale = make('div', { className: 'scale' }, make('span'), make('span'), make('span'));
		svg.after(scale);
	}
	put(scale.children[0], `${duration(begin)} ago`);
	put(scale.children[1], `top line ${text(most)}`);
	put(scale.children[2], 'now');
}

function showHistory(h) {
	const rate = (n) => `${bytes(n)}/s`;
	if (h.samples.length === 0)
		return;
	chart('faults', h.samples, ['faults_per_second'], count, false, 'Faults a second');
	chart('bytes', h.samples, ['read_bytes_per_second', 'written_bytes_per_second'], rate, true,
		'Bytes from and to appliances');
	chart('lent', h.samples, ['lent_bytes'], bytes, true, 'Lent by all appliances');
}

// --- all of it -----------------------------------------------------------------------------------

function showSummary(appliances, clients) {
	const up = appliances.filter((a) => a.state === 'up').length;
	const other = ['draining', 'away', 'unknown'].map((s) => [s, appliances.filter((a) => a.state === s).length])
		.filter(([, n]) => n > 0).map(([s, n]) => `${n} ${s}`);
	const sum = (of) => appliances.reduce((n, a) => n + (a.figures ? a.figures[of] : 0), 0);
	put($('summary'), `${plural(appliances.length, 'appliance')}: ${[`${up} up`, ...other].join(', ')}. `
		+ `${bytes(sum('lent_bytes'))} of ${bytes(sum('pool_bytes'))} lent. `
		+ `${plural(clients.length, 'program')} here.`);
	document.title = `extmem: ${[`${up} up`, ...other].join(', ')}`;
}

function show(root, appliances, clients, regions, history) {
	const troubles = troublesOf(appliances, clients);
	const names = new Map(appliances.map((a) => [a.id, nameOf(a)]));
	showSummary(appliances, clients);
	$('troubles').hidden = troubles.length === 0;
	sync($('trouble-list'), troubles.map((text, i) => ({ text, i })), (t) => t.i, () => make('li'),
		(li, t) => put(li, t.text));
	sync($('appliances'), appliances, (a) => a.id, createAppliance, updateAppliance);
	sync($('clients'), clients, (c) => c.pid, createClient, updateClient);
	$('no-clients').hidden = clients.length > 0;
	$('hidden-clients').hidden = !root.hidden_clients;
	sync($('regions'), regions.items, (e) => `${e.appliance} ${e.extent}`,
		() => row(['head', '', '', 'number', 'number']),
		(tr, e) => [e.name || '(no name)', e.owner, names.get(e.appliance) || e.appliance, String(e.part),
			bytes(e.bytes)].forEach((text, i) => put(tr.children[i], text)));
	$('no-regions').hidden = regions.items.length > 0;
	$('more-regions').hidden = !regions.more;
	put($('more-regions'), `Those are ${regions.items.length}; /v1/regions has more.`);
	showHistory(history);
}

let looking = false;
async function look() {
	if (looking)
		return;
	looking = true;
	try {
		const root = await ask('/v1');
		const appliances = await all('/v1/appliances', 64);
		const clients = await all('/v1/clients', 256);
		const regions = await all('/v1/regions', REGIONS);
		show(root, appliances.items, clients.items, regions, await ask('/v1/history'));
	} catch (error) {
		put($('summary'), error.status ? `The gateway refuses: ${error.message}`
			: 'The gateway does not answer; what is below was so before.');
		if (error.status === 401 && !$('ask').open && !$('ask').dataset.asked) {
			$('ask').dataset.asked = 'yes'; // once by itself; then the button is there
			askForToken();
		}
	}
	looking = false;
}

$('ask-no').onclick = () => $('ask').close();
$('token-button').onclick = askForToken;
look();
setInterval(() => document.hidden || look(), 2000);
