#pragma once

#include <filesystem>

namespace SQLite {
class Database;
}

namespace rankwright {

/// "RKWR": marks a SQLite file as a store of this program (PRAGMA application_id).
inline constexpr int storeApplicationId = 0x524b5752;
/// Version of the tables that this program writes (PRAGMA user_version).
inline constexpr int storeVersion = 7;

/// Brings a new or older store to storeVersion, one step and one transaction at a time; safe against another process
/// that does the same. Throws Error(Unsupported) for a newer store and Error(Corrupt) for a database of another
/// program.
void migrateStore(SQLite::Database& database, const std::filesystem::path& file);

} // namespace rankwright
