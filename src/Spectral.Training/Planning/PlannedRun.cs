using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Quantization;

namespace Spectral.Training.Planning;

/// <summary>A training run whose memory is to be planned.</summary>
/// <param name="Model">The sizes and options of the model.</param>
/// <param name="Type">The compute type of the run.</param>
/// <param name="Training">The settings of the run.</param>
/// <param name="Length">The number of tokens of each record, or of each sequence of joined records.</param>
public sealed record PlannedRun(ModelConfig Model, DType Type, TrainerOptions Training, int Length)
{
    /// <summary>
    /// The number of tokens of each record, or joined sequence, that carry loss; null: all but the first.
    /// </summary>
    public int? LossTokens { get; init; }

    /// <summary>The tokens of the longest record where records are joined; null: not known.</summary>
    public int? LongestRecord { get; init; }

    /// <summary>The form in which the frozen linear layers are kept; null: in the compute type.</summary>
    public BaseQuantization? Quantization { get; init; }

    /// <summary>The method of the adapter that trains; null: all weights of the model train.</summary>
    public AdapterMethod? Method { get; init; }

    /// <summary>The settings of the adapter.</summary>
    public AdapterOptions Adapter { get; init; } = new();

    /// <summary>The number of records that calibrate a method that starts from data.</summary>
    public int CalibrationRecords { get; init; } = 64;

    /// <summary>The folder of the adapter that the run goes on from; null: a new one is initialized.</summary>
    public string? InitAdapter { get; init; }

    /// <summary>
    /// The number of processes that train together. The plan is of the one with the largest share of a batch.
    /// </summary>
    public int Ranks { get; init; } = 1;

    /// <summary>Whether each of the processes keeps a part of every weight.</summary>
    public bool Shards { get; init; }

    /// <summary>The longest of the records that the run evaluates; null: it evaluates none.</summary>
    public PlannedRecords? Evaluation { get; init; }
}

/// <summary>The sizes of the longest of a set of records, or of the sequences to which they are joined.</summary>
/// <param name="Length">The number of tokens.</param>
/// <param name="LossTokens">The number of tokens that carry loss; null: all but the first.</param>
/// <param name="LongestRecord">The tokens of the longest record; null: not known.</param>
public sealed record PlannedRecords(int Length, int? LossTokens = null, int? LongestRecord = null)
{
    /// <summary>
    /// Finds the longest of encoded records, or of the sequences that a run joins them to, and the most tokens of one
    /// that carry loss.
    /// </summary>
    /// <param name="records">The records, at least one.</param>
    /// <param name="training">The settings of the run, which say whether records are joined.</param>
    /// <exception cref="InvalidOperationException">There is no record.</exception>
    public static PlannedRecords Of(IReadOnlyList<EncodedRecord> records, TrainerOptions training)
    {
        int[][] rows = training.Rows(records);
        return new(
            rows.Max(row => row.Sum(record => records[record].Longest)),
            rows.Max(row => row.Sum(record => records[record].MostLossTokens)),
            records.Max(record => record.Longest)
        );
    }
}
