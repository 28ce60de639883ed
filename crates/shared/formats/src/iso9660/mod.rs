//! ISO 9660 with Rock Ridge, Joliet, El Torito and the hybrid partition tables.
