// Users, the most recently active first, and one of them.

import { toUser, useParameters, withParameters } from "../address.js";
import { html } from "../lib.js";
import { Ago, Facts, When } from "../parts/common.js";
import { Id } from "../parts/copy.js";
import { Filter } from "../parts/filter.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";
import { useResource } from "../resources.js";

const COLUMNS = [
  { key: "userId", title: "User", value: (user) => user.userId, cell: (user) => html`<a href=${toUser(user.id)}>${user.userId || user.id}</a><span class="role">${user.id}</span>` },
  { key: "tier", title: "Tier", value: (user) => user.tier, cell: (user) => user.tier || "" },
  { key: "email", title: "E-mail", kind: "text", value: (user) => user.email, cell: (user) => user.email || "" },
  { key: "createdAt", title: "Created", kind: "number", value: (user) => user.createdAt, cell: (user) => html`<${Ago} time=${user.createdAt} />` },
  { key: "lastActiveAt", title: "Last active", kind: "number", value: (user) => user.lastActiveAt, cell: (user) => html`<${Ago} time=${user.lastActiveAt} />` },
];

export function Users() {
  const list = useList("/api/v1/users", ["tier", "q"], "stats or documents");
  return html`
    <${Page} title="Users">
      <div class="filters"><${Filter} label="User or e-mail" /><${Filter} name="tier" label="Tier" /><${RangePicker} /></div>
      <${List} list=${list} what="Users" none="No users yet." name="users" columns=${COLUMNS} />
    <//>`;
}

export function User({ params }) {
  const { query } = useParameters();
  const id = params.id ?? query.id;
  const asked = useResource(withParameters("/api/v1/user", { id }), 5000, "stats or documents");
  const user = asked.data.value;
  return html`
    <${Page} title=${user?.userId || id} crumbs=${[["/users", "Users"]]}>
      <${Instead} resource=${asked} what="The user" />
      ${user && html`
        <${Stale} resource=${asked} />
        <${Facts} facts=${[
          ["User", html`<${Id} id=${user.id} />`],
          ["Tier", user.tier],
          ["E-mail", user.email],
          ["Shares wisdom", user.globalWisdomOptIn === null ? null : user.globalWisdomOptIn ? "yes" : "no"],
          ["Created", user.createdAt && html`<${When} time=${user.createdAt} />, <${Ago} time=${user.createdAt} />`],
          ["Last active", user.lastActiveAt && html`<${When} time=${user.lastActiveAt} />, <${Ago} time=${user.lastActiveAt} />`],
        ]} />
        ${user.userId && html`<p><a href=${withParameters("/activity", { user: user.userId })}>What this user's agents did</a></p>`}`}
    <//>`;
}
