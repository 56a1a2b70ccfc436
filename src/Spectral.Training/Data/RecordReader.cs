using Spectral.Training.Data.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Data;

/// <summary>
/// Reads records from files: JSON Lines, one JSON array, or Parquet, told apart by their contents. A folder counts as
/// its files that end in <c>.jsonl</c>, <c>.json</c> or <c>.parquet</c>, in the ordinal order of their names.
/// docs/data.md says which keys and columns records have.
/// </summary>
public static class RecordReader
{
    /// <summary>Reads all records of a file or folder, in order.</summary>
    /// <inheritdoc cref="Read"/>
    public static IReadOnlyList<TrainingRecord> Load(string path, RecordFormat? format = null) =>
        [.. Read(path, format)];

    /// <summary>
    /// Reads the records of a file or folder one after the other. In memory are one record, or one row group of
    /// Parquet.
    /// </summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="format">The format of the records; null: each has the one whose keys it has.</param>
    /// <exception cref="InputException">
    /// The file is missing or has no record, or a record does not fit; the message names file, record and what was
    /// expected.
    /// </exception>
    public static IEnumerable<TrainingRecord> Read(string path, RecordFormat? format = null)
    {
        foreach (string file in RecordFiles.Of(path))
        {
            bool isEmpty = true;
            foreach (RawRecord record in RecordFiles.Read(file))
            {
                isEmpty = false;
                yield return RecordFormat.Parse(format, record.Json, record.Place);
            }
            if (isEmpty)
                throw Empty(file);
        }
    }

    /// <summary>Reads what is to be continued: records with a prompt, or with messages to answer.</summary>
    /// <param name="path">The file or folder. Completions in it are ignored.</param>
    /// <returns>Records with a prompt or a conversation and nothing else but the adapter that they name.</returns>
    /// <exception cref="InputException">
    /// The file is missing or has no record, or a record does not fit; the message names file and record.
    /// </exception>
    public static IReadOnlyList<TrainingRecord> LoadPrompts(string path)
    {
        List<TrainingRecord> prompts = [];
        foreach (string file in RecordFiles.Of(path))
        {
            int before = prompts.Count;
            foreach (RawRecord record in RecordFiles.Read(file))
                prompts.Add(RecordFormat.ParsePrompt(record.Json, record.Place));
            if (prompts.Count == before)
                throw Empty(file);
        }
        return prompts;
    }

    private static InputException Empty(string file) =>
        new($"{file}: no records, expected one JSON object per line, a JSON array of objects, or Parquet");
}
