package storage

import "context"

// Dropped tells whether there was a user of that name who was dropped. The mark lasts a year, or until a user of that name is added.
func (u *Users) Dropped(ctx context.Context, name string) (bool, error) {
	list, err := u.dropped(ctx, []string{name})
	return err == nil && list[0], err
}
