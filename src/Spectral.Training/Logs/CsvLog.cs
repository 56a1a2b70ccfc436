using System.Globalization;
using System.Text;
using Spectral.Training.Adapters;
using Spectral.Training.Objectives;

namespace Spectral.Training.Logs;

/// <summary>
/// Writes the steps and evaluations of a run as a table of comma-separated values, flushed line by line: a line for
/// each step and one for each evaluation, which has the number of the step that it came after. Values that a line does
/// not have, or that are not finite, are empty.
/// </summary>
/// <remarks>
/// The columns are <c>step, loss, lr, grad_norm, tokens, tokens_per_second, eval_loss, exact_match</c>, with a head,
/// decimal points and line feeds whatever the machine's culture. A run on pairs also has
/// <see cref="PairScores.Names"/>, and the same with <c>eval_</c> before them. An adapter with routers adds
/// <c>router_loss, router_load_max, router_load_min</c> (<see cref="RouterReport"/>).
/// </remarks>
public sealed class CsvLog : ITrainerCallback, IDisposable
{
    private const string Head = "step,loss,lr,grad_norm,tokens,tokens_per_second,eval_loss,exact_match";

    private readonly StreamWriter _file;
    private readonly bool _hasPairs;
    private readonly bool _hasRouters;

    /// <summary>Starts a new table and replaces an existing one.</summary>
    /// <param name="path">The file to write.</param>
    /// <param name="hasPairs">Whether the run is on pairs, whose rewards have columns then.</param>
    /// <param name="hasRouters">Whether the adapter has routers, whose load has columns then.</param>
    public CsvLog(string path, bool hasPairs = false, bool hasRouters = false)
    {
        (_hasPairs, _hasRouters) = (hasPairs, hasRouters);
        var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);
        _file = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false))
        {
            AutoFlush = true,
            NewLine = "\n",
        };
        IEnumerable<string> ofPairs = PairScores.Names.Concat(PairScores.Names.Select(name => $"eval_{name}"));
        string[] more = [.. hasPairs ? ofPairs : [], .. hasRouters ? RouterReport.Names : []];
        _file.WriteLine(string.Join(',', more.Prepend(Head)));
    }

    /// <inheritdoc/>
    public void OnStep(StepReport report) =>
        Write([
            Whole(report.Step),
            Number(report.Loss),
            Number(report.LearningRate),
            Number(report.GradientNorm),
            Whole(report.Tokens),
            Number(report.TokensPerSecond),
            "",
            "",
            .. OfPairs(report.PairScores, null),
            .. OfRouters(report.Routers),
        ]);

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result) =>
        Write([
            Whole(step),
            "",
            "",
            "",
            "",
            "",
            Number(result.Loss),
            Number(result.ExactMatch),
            .. OfPairs(null, result.PairScores),
            .. OfRouters(null),
        ]);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void Write(string[] values) => _file.WriteLine(string.Join(',', values));

    private IEnumerable<string> OfPairs(params PairScores?[] scores) =>
        _hasPairs
            ? scores.SelectMany(one => one?.Values().Select(value => Number(value)) ?? PairScores.Names.Select(_ => ""))
            : [];

    private IEnumerable<string> OfRouters(RouterReport? routers) =>
        !_hasRouters ? [] : routers?.Values().Select(value => Number(value)) ?? RouterReport.Names.Select(_ => "");

    private static string Whole(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Number(double? value) =>
        value is { } number && double.IsFinite(number) ? number.ToString("R", CultureInfo.InvariantCulture) : "";
}
